// Writes src/template/support.tsv: what big mail programs drop of CSS and HTML.
//
//   npm pack caniemail@1.0.5 && tar xzf caniemail-1.0.5.tgz
//   node tests/pictures/caniemail.mjs package/data/caniemail.json > src/template/support.tsv
//
// The data is that of https://www.caniemail.com (MIT). What counts is the newest version tested of each mail program.
import { readFileSync } from "node:fs";

const { data, last_update_date } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const CLIENTS = [
  ["Outlook (Windows)", "outlook", ["windows"]],
  ["Outlook.com", "outlook", ["outlook-com"]],
  ["Gmail", "gmail", ["desktop-webmail", "ios", "android"]],
  ["Apple Mail", "apple-mail", ["macos", "ios"]],
];
// Headings of several names, and those that no name can be read from.
const NAMES = {
  "css-block-inline-size": ["block-size"],
  "css-gap": ["gap", "column-gap", "row-gap"],
  "css-left-right-top-bottom": ["left", "right", "top", "bottom"],
  "css-margin-block-start-end": ["margin-block-start", "margin-block-end"],
  "css-margin-inline-block": ["margin-inline", "margin-block"],
  "css-margin-inline-start-end": ["margin-inline-start", "margin-inline-end"],
  "css-padding-block-start-end": ["padding-block-start", "padding-block-end"],
  "css-padding-inline-block": ["padding-inline", "padding-block"],
  "css-padding-inline-start-end": ["padding-inline-start", "padding-inline-end"],
  "css-border-inline-block": ["border-inline", "border-block"],
  "css-grid-template": ["grid-template-columns", "grid-template-rows", "grid-template-areas"],
  "css-color-scheme": ["color-scheme"],
  "css-font": ["font"],
};
const FUNCTIONS = { "css-variables": ["var"], "css-unit-calc": ["calc"], "css-modern-color": ["lch", "oklch", "lab", "oklab"] };
const ELEMENTS = { "html-lists": ["ul", "ol", "dl"], "html-h1-h6": ["h1", "h2", "h3", "h4", "h5", "h6"], "html-svg": ["svg"], "html-base": ["base"], "html-address": ["address"], "html-semantics": ["article", "section", "nav", "header", "footer", "main", "aside", "figure"] };

/** Returns [kind, names] of a feature, or null where it is none of an element's own. */
function named({ slug, title, category }) {
  if (category === "css") {
    if (FUNCTIONS[slug]) return ["function", FUNCTIONS[slug]];
    if (NAMES[slug]) return ["property", NAMES[slug]];
    const call = /^([a-z-]+)\(\)$/.exec(title);
    if (call && slug.startsWith("css-pseudo")) return null;
    if (call) return ["function", [call[1]]];
    const pair = /^([a-z-]+): ?([a-z-]+)$/.exec(title);
    if (pair) return ["value", [`${pair[1]}:${pair[2]}`]];
    const property = /^([a-z-]+)( property)?$/.exec(title.trim());
    return property ? ["property", [property[1]]] : null;
  }
  if (category !== "html") return null;
  if (ELEMENTS[slug]) return ["element", ELEMENTS[slug]];
  const element = /^<([a-z]+)>( element)?$/.exec(title);
  return element ? ["element", [element[1]]] : null;
}

const byVersion = new Intl.Collator("en", { numeric: true });
const newest = (versions) => Object.entries(versions ?? {}).sort(([a], [b]) => byVersion.compare(a, b)).at(-1)?.[1];

/** A program drops what its newest version on each of its platforms drops; one platform of several is enough. */
function drops(stats, family, platforms) {
  return platforms.some((platform) => newest(stats[family]?.[platform])?.startsWith("n"));
}

console.log(`# What mail programs drop: caniemail.com (MIT), by npm's caniemail 1.0.5, of ${last_update_date.slice(0, 10)}.`);
console.log("# Written by tests/pictures/caniemail.mjs. kind, name, who drops it.");
const lines = [];
for (const feature of data) {
  const [kind, names] = named(feature) ?? [null, []];
  const clients = CLIENTS.filter(([, family, platforms]) => drops(feature.stats, family, platforms)).map(([name]) => name);
  if (clients.length > 0) for (const name of names) lines.push(`${kind}\t${name}\t${clients.join(", ")}`);
}
console.log(lines.sort().join("\n"));
