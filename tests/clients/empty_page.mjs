// As much of an empty page as a client looks at that tells a server what is on it.

export function showEmptyPage() {
  const body = { childNodes: [], children: [], tagName: "BODY" };
  globalThis.document = Object.assign(new EventTarget(), {
    body,
    activeElement: body,
    getSelection: () => null,
    visibilityState: "visible",
  });
  globalThis.HTMLInputElement ??= class {};
  globalThis.HTMLTextAreaElement ??= class {};
  globalThis.MutationObserver ??= class {
    observe() {}
    disconnect() {}
  };
  globalThis.addEventListener ??= () => {};
  globalThis.removeEventListener ??= () => {};
}
