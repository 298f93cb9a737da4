// The token: out of the address at once, and exchanged for a cookie.

import { byId, setText, show } from "./dom.js";

/** Take the token out of the address; null if there is none. */
export function takeToken() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const token = fields.get("token");
  if (token !== null) history.replaceState(null, "", location.pathname);
  return token;
}

/** Exchange a token for a cookie; return null, or why that can't be done. */
export async function exchange(token) {
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch("/session", {
      headers,
      credentials: "same-origin",
      cache: "no-store",
    });
    if (answer.ok) return null;
    return answer.status === 401
      ? "That is not the token of this panel."
      : `The server refused: status ${answer.status}.`;
  } catch (error) {
    // A token with other characters can't be in a header; else the server is away.
    return /[^\x21-\x7e]/.test(token)
      ? "That is not the token of this panel."
      : "The server can't be reached. Try again.";
  }
}

/** Call `onToken(token)` for a token that is typed; it returns null, or what is wrong. */
export function setUpSignin(onToken) {
  const [form, box] = [byId("signin-form"), byId("signin-token")];
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const why = await onToken(box.value.trim());
    setProblem(why);
    if (why === null) box.value = "";
    else box.focus();
  });
}

/** Show the form, or hide it. */
export function showSignin(isShown, why = null) {
  const wasHidden = byId("signin").hidden;
  show(byId("signin"), isShown);
  if (isShown && wasHidden) {
    setProblem(why);
    byId("signin-token").focus();
  }
}

function setProblem(why) {
  const box = byId("signin-token");
  setText(byId("signin-error"), why ?? "");
  if (why) box.setAttribute("aria-invalid", "true");
  else box.removeAttribute("aria-invalid");
}
