// Writes how a language writes dates, numbers and amounts, by Unicode CLDR as Node.js has it (`Intl`), and what it makes of examples.
//
//   node tests/data/cldr.mjs formats de > templates/de/formats.toml      the data of a language (any BCP 47 tag)
//   node tests/data/cldr.mjs zones > src/template/zones.tsv              which zones have a name in common
//   node tests/data/cldr.mjs examples > tests/data/cldr.csv              what src/template/formats.rs is tested against
//
// English is taken as it is written in Britain: day before month, 24 hours, which readers anywhere can tell apart.
import { readFileSync } from "node:fs";

const languages = ["en", "de", "fr", "es", "ar"];
const tag = (language) => (language === "en" ? "en-GB" : language);
// 09:07 or 9:07, as the language's short time has it.
const hourOf = (language) => {
  const parts = new Intl.DateTimeFormat(tag(language), { timeStyle: "short", timeZone: "UTC" }).formatToParts(new Date(0));
  return parts.find((part) => part.type === "hour").value.length === 2 && !parts.some((part) => part.type === "dayPeriod") ? "2-digit" : "numeric";
};
const dateFormat = (language, zone) =>
  new Intl.DateTimeFormat(tag(language), {
    weekday: "short", day: "numeric", month: "long", year: "numeric", hour: hourOf(language), minute: "2-digit", timeZone: zone,
  });
const amountFormat = (language, currency) =>
  new Intl.NumberFormat(tag(language), { style: "currency", currency, trailingZeroDisplay: "stripIfInteger" });
const longGeneric = (language, zone, at) =>
  new Intl.DateTimeFormat(tag(language), { timeZone: zone, timeZoneName: "longGeneric" }).formatToParts(at).find((part) => part.type === "timeZoneName").value;
// "Central European Time": what readers of a zone call it, summer and winter alike. "" where its only name is its distance from Greenwich, or
// that of a place in a frame, which French shows ("heure : Royaume-Uni"): IANA's own says as much.
const zoneName = (language, zone, at = new Date(Date.UTC(2026, 0, 15))) => {
  const isFramed = longGeneric("fr", zone, at).startsWith("heure : ");
  const name = longGeneric(language, zone, at);
  return isFramed || /\d/.test(name) ? "" : name;
};
// All names of zones, the old ones too: what tzdata lists, as far as Node.js knows it.
const zones = () => {
  const lines = readFileSync("/usr/share/zoneinfo/tzdata.zi", "utf8").split("\n").map((line) => line.split(" "));
  const names = lines.flatMap(([kind, one, other]) => (kind === "Z" ? [one] : kind === "L" ? [other] : []));
  return [...new Set(names)].sort().filter((zone) => {
    try { return zoneName("en", zone) !== ""; } catch { return false; }
  });
};
/** By English name; a zone which another language tells apart from those of the same English name is left out. */
function named() {
  const found = new Map();
  for (const zone of zones()) {
    const name = zoneName("en", zone);
    const [first] = found.get(name) ?? [zone];
    if (languages.some((language) => zoneName(language, first) !== zoneName(language, zone))) continue;
    found.set(name, [...(found.get(name) ?? []), zone]);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}
// Invisible characters are written as escapes, so that they are seen.
const quoted = (text) => '"' + text.replace(/["\\]/g, "\\$&").replace(/[\p{Cf}\u00a0\u202f\u2009]/gu,
  (c) => "\\u" + c.codePointAt(0).toString(16).padStart(4, "0").toUpperCase()) + '"';
const list = (texts) => "[" + texts.map(quoted).join(", ") + "]";

function formats(language) {
  const at = (month, day, hour) => dateFormat(language, "UTC").formatToParts(new Date(Date.UTC(2026, month, day, hour, 7)));
  const part = (parts, type) => parts.find((part) => part.type === type)?.value ?? "";
  const morning = at(2, 2, 5);
  const is12 = part(morning, "dayPeriod") !== "";
  const hour = is12 ? "hour12" : part(morning, "hour").length === 2 ? "hour24" : "hour";
  const names = { weekday: "weekday", day: "day", month: "month", year: "year", hour, minute: "minute", dayPeriod: "period" };
  const instant = morning.map((part) => (part.type === "literal" ? part.value : `{${names[part.type]}}`)).join("");
  const number = new Intl.NumberFormat(tag(language)).formatToParts(1234567.5);
  const groups = (n) => new Intl.NumberFormat(tag(language)).formatToParts(n).some((part) => part.type === "group");
  const parts = amountFormat(language, "USD").formatToParts(5);
  const amount = parts.map((part) =>
    part.type === "currency" ? "{currency}" : part.type === "integer" ? "{amount}" : part.value).join("");
  const digits = [...Array(10).keys()].map((n) => new Intl.NumberFormat(tag(language), { useGrouping: false }).format(n)).join("");
  // A direction mark that belongs to a sign comes as a part of its own.
  const signOf = (parts) => parts.map((part, n) =>
    part.type === "currency" || (/^[\u200e\u200f]+$/.test(part.value) && parts[n - 1]?.type === "currency") ? part.value : "").join("");
  const symbols = Intl.supportedValuesOf("currency")
    .map((code) => [code, signOf(amountFormat(language, code).formatToParts(5))])
    .filter(([code, symbol]) => symbol !== code && symbol !== "¤");
  const lines = [
    `# How ${new Intl.DisplayNames("en", { type: "language" }).of(language)} writes dates, numbers and amounts: Unicode CLDR ${process.versions.cldr}`,
    `# by \`node tests/data/cldr.mjs formats ${language}\`. What is left out is taken from the language above this one, as messages are.`,
    "",
    "# {hour} is 0–23, {hour24} 00–23, {hour12} 1–12 with {period}.",
    `instant = ${quoted(instant + " ({zone})")}`,
    `weekdays = ${list([...Array(7).keys()].map((n) => part(at(5, n + 1, 12), "weekday")))}`,
    `months = ${list([...Array(12).keys()].map((n) => part(at(n, 2, 12), "month")))}`,
  ];
  if (is12) lines.push(`periods = ${list([morning, at(2, 2, 17)].map((parts) => part(parts, "dayPeriod")))}`);
  if (digits !== "0123456789") lines.push(`digits = ${quoted(digits)}`);
  lines.push(
    `decimal = ${quoted(part(number, "decimal"))}`,
    "# Between groups of three digits, in numbers of so many digits or more.",
    `group = ${quoted(part(number, "group"))}`,
    `group_from = ${groups(1234) ? 4 : groups(12345) ? 5 : 99}`,
    `amount = ${quoted(amount)}`,
    "",
    "# Other currencies are written with their code.",
    "[currencies]",
    ...symbols.map(([code, symbol]) => `${code} = ${quoted(symbol)}`),
    "",
    "# Zones, by their names in English; one that is not here is written as IANA does (Europe/Berlin).",
    "[zones]",
    ...[...named()].map(([name, [zone]]) => `${quoted(name)} = ${quoted(zoneName(language, zone))}`),
  );
  return lines.join("\n") + "\n";
}

function examples() {
  const rows = [["language", "what", "value", "with", "text"]];
  const instants = [
    ["2026-03-02T16:05:00Z", "Europe/Berlin"], ["2026-03-29T00:59:59Z", "Europe/Berlin"], ["2026-03-29T01:00:00Z", "Europe/Berlin"],
    ["2026-10-25T00:30:00Z", "Europe/Paris"], ["2025-12-31T23:59:59Z", "UTC"], ["2025-12-31T18:30:00Z", "Asia/Kolkata"],
    ["2026-01-01T00:00:00Z", "America/New_York"], ["2026-07-01T12:00:00Z", "America/St_Johns"], ["2024-02-29T22:00:00Z", "Pacific/Auckland"],
    ...[...Array(12).keys()].map((n) => [new Date(Date.UTC(2026, n, n + 3, 2 * n, 9)).toISOString().replace(".000", ""), "Asia/Riyadh"]),
  ];
  const amounts = [["0.5", "EUR"], ["1", "EUR"], ["999", "USD"], ["1000", "USD"], ["9999.99", "GBP"], ["12345.6", "EUR"], ["1234567.5", "CHF"],
    ["50000", "EUR"], ["50000.25", "JPY"], ["1234.5675", "KWD"], ["123456789012", "INR"], ["7500.1", "SEK"], ["4200", "AED"], ["98765.43", "BRL"],
    ["1000000", "XAF"], ["0.004", "EUR"], ["19.999", "EUR"]];
  const counts = ["0", "1", "12", "999", "1000", "9999", "10000", "1234567"];
  for (const language of languages) {
    for (const [at, zone] of instants) rows.push([language, "instant", at, zone, dateFormat(language, zone).format(new Date(at))]);
    for (const [n, currency] of amounts) rows.push([language, "amount", n, currency, amountFormat(language, currency).format(Number(n))]);
    for (const zone of ["Europe/Berlin", "Europe/London", "Asia/Kolkata", "Asia/Calcutta", "America/New_York", "US/Eastern", "America/Sao_Paulo",
      "Africa/Algiers", "Europe/Kaliningrad", "Asia/Almaty", "Australia/Eucla", "Pacific/Auckland", "Africa/Casablanca", "Europe/Kyiv", "UTC", "Etc/GMT+5"]) {
      for (const at of ["2026-01-15T00:00:00Z", "2026-07-15T00:00:00Z"]) rows.push([language, "zone", at, zone, zoneName(language, zone, new Date(at))]);
    }
    for (const n of counts) rows.push([language, "count", n, "", new Intl.NumberFormat(tag(language)).format(Number(n))]);
  }
  for (const language of "ar be bg bs ca cs cy da de el en es et eu fa fi fr ga gl he hi hr hu id is it ja ka kk ko lt lv mk ms mt nb nl pl pt pt-PT ro ru sk sl sq sr sv th tr uk vi zh".split(" ")) {
    const rules = new Intl.PluralRules(language);
    const forms = {};
    for (const n of [...Array(131).keys(), 200, 201, 211, 1000, 1001, 1011, 10000, 100000, 1000000]) (forms[rules.select(n)] ??= []).push(n);
    for (const [form, numbers] of Object.entries(forms)) rows.push([language, "plural", form, "", numbers.join(" ")]);
  }
  const cell = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => row.map(cell).join(",") + "\n").join("");
}

const [what, language] = process.argv.slice(2);
const mapping = () => [...named()].map(([name, zones]) => `${name}\t${zones.join(" ")}\n`).join("");
process.stdout.write(what === "formats" ? formats(language) : what === "zones" ? mapping() : examples());
