// Looks at mails and pages as their readers would, in Chromium, and tells what is wrong with them, one line a fault. `tests/it/pictures.rs` calls it.
//
//   node look.mjs LIBRARIES CHROMIUM MAILS PICTURES
//
// LIBRARIES: the folder whose node_modules has playwright-core, axe-core and html-validate. CHROMIUM: the program. MAILS: the folder of what is
// looked at: `mail.KIND.LANGUAGE.SAMPLE.html` and `page.KIND.LANGUAGE.STATE.html`. PICTURES: the folder that gets a PNG of each full sample,
// phone and desktop, light and dark, and index.html with all of them; "-" for none.
//
// Exit code 0 where nothing is wrong, 1 where something is, another where it could not be told.
import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [libraries, program, mails, pictures] = process.argv.slice(2);
const require = createRequire(join(resolve(libraries), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const { HtmlValidate, StaticConfigLoader } = require("html-validate");

// CSS pixels: the narrowest phone in use, a common phone, a window of a desktop's mail program.
const WIDTHS = [320, 390, 800];
const PHONE = 390;
const DESKTOP = 800;
const SCHEMES = ["light", "dark"];
const RIGHT_TO_LEFT = ["ar", "fa", "he", "ur"];
// Apple's and Android's guides and WCAG 2.5.5 agree on 44.
const TAP = 44;

// What the branded mails have at their head.
const LOGO = "https://gold.example/logo.png";
const LOGO_PICTURE =
  '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="80"><rect width="320" height="80" rx="12" fill="#7a5a00"/><circle cx="40" cy="40" r="22" fill="#f0c85a"/><text x="80" y="53" font-family="sans-serif" font-size="38" font-weight="700" fill="#fffdf5">Gold Circle</text></svg>';

// What is not asked of a mail, and why. Everything else of html-validate's recommended rules is.
const MAIL_RULES = {
  // Mail programs drop <style>, so what must be there is said at the element; MJML does so.
  "no-inline-style": "off",
  // Outlook lays out by tables, and knows only these attributes: align, bgcolor, border, cellpadding, cellspacing, valign, width.
  "no-deprecated-attr": "off",
  // What Outlook alone is to see stands in conditional comments, and MJML writes role="article" at a div, as mail programs drop <article>.
  "no-conditional-comment": "off",
  "prefer-native-element": "off",
  // "presentation" and "none" mean the same; older screen readers know the former.
  "presentation-role-style": "off",
  // MJML closes them; HTML allows both.
  "void-style": "off",
  // Of no effect.
  "no-trailing-whitespace": "off",
  "attribute-boolean-style": "off",
  "attribute-empty-style": "off",
  "doctype-style": "off",
  // The rule wants 70 characters at most for search engines; nobody searches for mails.
  "long-title": "off",
  // The rule wants numbers unbreakable, at each place; mail programs differ.
  "tel-non-breaking": "off",
  // HTML's own types are meant: a button submits, a field takes text.
  "no-implicit-button-type": "off",
  "no-implicit-input-type": "off",
  // Parsers add it.
  "prefer-tbody": "off",
};

// What axe asks of a page and not of a mail: the mail program's page around it has the landmarks, and the mail is an article in it.
const PAGE_ONLY = { "landmark-one-main": { enabled: false }, region: { enabled: false } };
const validate = new HtmlValidate(new StaticConfigLoader({ root: true, extends: ["html-validate:recommended"], rules: MAIL_RULES }));

// Nothing that hangs is waited for longer; it takes a minute on two cores that do nothing else.
const MINUTES_MAX = 8;
setTimeout(() => {
  console.error(`look: not done after ${MINUTES_MAX} minutes`);
  process.exit(3);
}, MINUTES_MAX * 60_000).unref();

const faults = new Set();
const fault = (name, what) => faults.add(`${name}: ${what}`);

/** What a reader of that width gets, measured inside the page. */
function measure({ tap }) {
  const shown = (element) => element.getClientRects().length > 0;
  const told = (element) => `<${element.localName} class="${element.className}"> "${(element.textContent ?? "").trim().slice(0, 40)}"`;
  const root = document.documentElement;
  const found = { overflow: [], taps: [], images: [] };
  if (root.scrollWidth > innerWidth) {
    const wide = [...document.querySelectorAll("body *")].filter((e) => shown(e) && e.getBoundingClientRect().right > innerWidth + 0.5);
    found.overflow.push(`${root.scrollWidth} px are shown on ${innerWidth}: ${told(wide.at(-1) ?? root)}`);
  }
  if (tap) {
    for (const button of document.querySelectorAll(".go a, a.answer, button, input[type=submit]")) {
      const { height, width } = button.getBoundingClientRect();
      if (shown(button) && (height < tap || width < tap)) found.taps.push(`${told(button)} is ${width} × ${height} px, less than ${tap}`);
    }
  }
  for (const image of document.querySelectorAll("img")) if (!image.hasAttribute("alt")) found.images.push(image.src);
  const ground = (selector) => {
    const element = document.querySelector(selector);
    return element === null ? null : getComputedStyle(element).backgroundColor;
  };
  const text = document.querySelector(".card strong, .card p, .card div, main, body");
  return {
    ...found,
    lang: root.lang,
    dir: root.dir,
    direction: getComputedStyle(document.body).direction,
    title: document.title.trim(),
    colours: [ground("body"), ground(".card > table > tbody > tr > td, .card, main"), text === null ? null : getComputedStyle(text).color],
  };
}

async function look(page, file, scheme, colours) {
  const name = file.replace(/\.html$/, "");
  const [what, kind, language, sample] = name.split(".");
  await page.setViewportSize({ width: PHONE, height: 844 });
  await page.goto(pathToFileURL(resolve(mails, file)).href);
  for (const width of scheme === "light" ? WIDTHS : [PHONE]) {
    await page.setViewportSize({ width, height: 844 });
    const seen = await page.evaluate(measure, { tap: width === DESKTOP ? 0 : TAP });
    const at = `${name}, ${width} px, ${scheme}`;
    for (const one of seen.overflow) fault(at, `too wide: ${one}`);
    for (const one of seen.taps) fault(at, one);
    for (const one of seen.images) fault(at, `an image has no alt: ${one}`);
    const direction = RIGHT_TO_LEFT.includes(language) ? "rtl" : "ltr";
    if (seen.lang !== language) fault(at, `lang is "${seen.lang}"`);
    if (seen.dir !== direction || seen.direction !== direction) fault(at, `dir is "${seen.dir}", and it reads ${seen.direction}`);
    if (seen.title === "") fault(at, "it has no title");
    if (width === PHONE) {
      const before = colours.get(file);
      if (before === undefined) colours.set(file, seen.colours);
      else before.forEach((colour, i) => {
        if (colour !== null && colour === seen.colours[i]) fault(name, `dark mode leaves the ${["ground", "card", "text"][i]} as it is: ${colour}`);
      });
    }
    if (pictures !== "-" && (sample === "full" || what === "page") && width !== 320) {
      await page.screenshot({ path: join(pictures, `${name}.${width === PHONE ? "phone" : "desktop"}.${scheme}.png`), fullPage: true });
    }
  }
  if (pictures !== "-" && scheme === "dark" && (sample === "full" || what === "page")) {
    await page.setViewportSize({ width: DESKTOP, height: 844 });
    await page.screenshot({ path: join(pictures, `${name}.desktop.dark.png`), fullPage: true });
  }
  // What strains the layout has the elements and colours of the full sample, a thousandfold.
  if (what === "mail" && sample !== "full") return;
  await page.setViewportSize({ width: PHONE, height: 844 });
  await page.evaluate(axe);
  // Only colours depend on the scheme.
  const rules = scheme === "dark" ? { runOnly: ["color-contrast"] } : what === "mail" ? { rules: PAGE_ONLY } : {};
  const { violations } = await page.evaluate((rules) => window.axe.run(document, { resultTypes: ["violations"], ...rules }), rules);
  for (const { id, help, nodes } of violations) {
    fault(`${name}, ${scheme}`, `axe, ${id}: ${help}: ${nodes[0].html.slice(0, 200)} (${nodes[0].failureSummary.replace(/\s+/g, " ").slice(0, 300)})`);
  }
}

/** One page with all pictures, a row a language. */
function sheet() {
  const files = readdirSync(pictures).filter((file) => file.endsWith(".png"));
  const rows = new Map();
  for (const file of files) {
    const name = file.split(".").slice(0, 3).join(" ");
    rows.set(name, [...(rows.get(name) ?? []), file]);
  }
  const row = ([name, files]) =>
    `<h2>${name}</h2><div>${files.map((file) => `<a href="${file}" title="${file}"><img src="${file}" alt="${file}" loading="lazy"></a>`).join("")}</div>`;
  const style = "body{font-family:sans-serif;background:#888}div{display:flex;gap:8px;align-items:start;flex-wrap:wrap}img{height:420px}";
  writeFileSync(
    join(pictures, "index.html"),
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>Mails</title><style>${style}</style><body>${[...rows].map(row).join("\n")}</body></html>\n`,
  );
}

const files = readdirSync(mails).filter((file) => file.endsWith(".html")).sort();
const started = Date.now();
const spent = (what) => console.error(`look: ${what} after ${((Date.now() - started) / 1000).toFixed(1)} s`);
for (const file of files) {
  const report = await validate.validateString(readFileSync(join(mails, file), "utf8"));
  for (const { messages } of report.results) {
    for (const { ruleId, message, line } of messages) fault(file.replace(/\.html$/, ""), `html-validate, line ${line}, ${ruleId}: ${message}`);
  }
}
spent(`${files.length} files are validated`);

const profile = mkdtempSync(join(tmpdir(), "posthorn-look-"));
let browser;
try {
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: program,
    headless: true,
    chromiumSandbox: false,
    colorScheme: "light",
    offline: true,
    timeout: 60_000,
    args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.setDefaultTimeout(60_000);
  // Nothing that is built in loads anything, which would tell a stranger that it was opened; the logo is the operator's.
  await page.route(LOGO, (route) => route.fulfill({ contentType: "image/svg+xml", body: LOGO_PICTURE }));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith("file:") && !(url === LOGO && page.url().includes("-branded."))) fault("all", `${url} is loaded`);
  });
  const colours = new Map();
  for (const scheme of SCHEMES) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const file of files) await look(page, file, scheme, colours);
    spent(`${scheme} is looked at`);
  }
  if (pictures !== "-") sheet();
} finally {
  await browser?.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 3 });
}
for (const one of faults) console.log(one);
console.error(`look: ${files.length} mails and pages, ${faults.size} faults, ${((Date.now() - started) / 1000).toFixed(1)} s`);
process.exitCode = faults.size === 0 ? 0 : 1;
