// Values and times as people read them.

const LONGEST = 400;
const DEEPEST = 3;
const LARGEST = 1e15;

/** Return any JSON value as a short text. */
export function readable(value, depth = 0) {
  return shorten(words(value, depth), LONGEST);
}

function words(value, depth) {
  if (value === null || value === undefined) return "nothing";
  if (typeof value === "string") return shorten(value, LONGEST);
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (depth >= DEEPEST) return "…";
  if (Array.isArray(value)) {
    if (value.length === 0) return "none";
    const some = value.slice(0, 20).map((one) => words(one, depth + 1));
    return (
      some.join(", ") +
      (value.length > some.length ? `, and ${value.length - some.length} more` : "")
    );
  }
  const facts = entries(value, depth);
  if (facts.length === 0) return "none";
  const text = facts.map(([name, fact]) => `${name} ${fact}`).join(depth ? ", " : " · ");
  return depth ? `(${text})` : text;
}

/** Return the facts of an object as pairs of texts, at most twenty. */
export function entries(value, depth = 0) {
  return Object.entries(value)
    .slice(0, 20)
    .map(([name, fact]) => [shorten(name.replaceAll("_", " "), 60), words(fact, depth + 1)]);
}

/** Return a text, cut off where it is too long. */
export function shorten(text, longest) {
  const points = text.length > longest ? Array.from(text.slice(0, 2 * longest + 2)) : null;
  return points && points.length > longest ? `${points.slice(0, longest - 1).join("")}…` : text;
}

/** Return a number with its thousands set apart, or as a power of ten if it is very large. */
export function number(value) {
  return typeof value === "number" && Math.abs(value) < LARGEST
    ? value.toLocaleString("en", { maximumFractionDigits: 2 })
    : String(value);
}

/** Return a count with its noun: "1 worker", "2 workers". */
export const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

/** Say what a list lacks, given as counts by noun; an empty text if it lacks nothing. */
export function lacking(counts) {
  const missing = Object.entries(counts).filter(([, count]) => count > 0);
  return missing.length
    ? `Not shown: ${missing.map(([noun, count]) => `${number(count)} more ${noun}`).join(", ")}.`
    : "";
}

/** Return the pairs of a provenance, such as "Split:1". */
export const pairsOf = (provenance) => provenance.match(/\S.*?:\d+(?=\s|$)/gs) ?? [provenance];

/** Return a time that goes on, given in milliseconds, as a clock shows it. */
export function clock(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = two(seconds % 60);
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/** Return how long ago something was, given in milliseconds. */
export function ago(milliseconds) {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return "just now";
  return minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
}

/** Return how long something took, given in milliseconds. */
export function duration(milliseconds) {
  const passed = Math.max(0, milliseconds);
  if (passed < 1000) return `${Math.round(passed)} ms`;
  return passed < 60_000 ? `${(passed / 1000).toFixed(1)} s` : clock(passed);
}

/** Return a size in bytes. */
export function size(bytes) {
  if (bytes < 1000) return counted(bytes, "byte");
  const units = ["kB", "MB", "GB"];
  let value = bytes / 1000;
  while (value >= 1000 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[0]}`;
}

/** Return a word with a capital letter. */
export const capitalized = (word) => word.charAt(0).toUpperCase() + word.slice(1);
