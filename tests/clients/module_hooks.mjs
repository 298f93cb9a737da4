/** Load `*.module.js` as what it is. */
export async function load(url, context, next) {
  const format = url.endsWith(".module.js") ? "module" : context.format;
  return next(url, { ...context, format });
}
