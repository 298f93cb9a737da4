// The box in which a person asks.

import { byId, isUsable, setUsable } from "./dom.js";

/** Call `onText(text)` for what is sent; it returns whether it was. */
export function setUpComposer(onText) {
  const [form, box, button] = [byId("composer"), byId("composer-text"), byId("composer-send")];
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = box.value.trim();
    if (!text || !isUsable(button)) return;
    if (onText(text)) box.value = "";
    box.focus();
  });
  box.addEventListener("keydown", (event) => {
    // 229: an input method is at work, also where the event says that it has just ended.
    const isComposing = event.isComposing || event.keyCode === 229;
    if (event.key !== "Enter" || event.shiftKey || isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
}

/** Say whether something can be sent. */
export const setComposer = (isAway) => setUsable(byId("composer-send"), !isAway);
