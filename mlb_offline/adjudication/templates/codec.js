// Texts, bytes and their one canonical spelling (RFC 8785, RFC 4648 section 4).
class Refused extends Error {
  constructor(zh, en) { super(zh + " / " + en); this.zh = zh; this.en = en; }
}
function need(holds, zh, en) { if (!holds) { throw new Refused(zh, en); } }

function utf8(text) { return new TextEncoder().encode(text); }
function textOf(bytes) {
  try { return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes); } catch (error) {
    throw new Refused("不是 UTF-8 文本", "not UTF-8 text");
  }
}
function hex(bytes) { return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""); }
function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

function base64(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += 8192) {
    text += String.fromCharCode.apply(null, bytes.subarray(start, start + 8192));
  }
  return btoa(text);
}
function unbase64(text) {
  let raw = null;
  try { raw = atob(text); } catch (error) { raw = null; }
  need(typeof text === "string" && raw !== null && btoa(raw) === text, "不是规范的 base64", "not canonical base64");
  return Uint8Array.from(raw, (character) => character.charCodeAt(0));
}

function canonical(value) {  // RFC 8785: ECMAScript's own numbers and strings, keys sorted by UTF-16 units
  if (Array.isArray(value)) { return "[" + value.map(canonical).join(",") + "]"; }
  if (value !== null && typeof value === "object") {
    return "{" + Object.keys(value).sort().map((key) => JSON.stringify(key) + ":" + canonical(value[key])).join(",") + "}";
  }
  return JSON.stringify(value);
}
function parsed(text) {
  let value;
  try { value = JSON.parse(text); } catch (error) { throw new Refused("不是 JSON", "not JSON"); }
  return value;
}
function parseCanonical(bytes) {
  const text = textOf(bytes), value = parsed(text);
  need(canonical(value) === text, "不是规范 JSON", "not canonical JSON");
  return value;
}
function exact(value, keys) {
  const good = value !== null && typeof value === "object" && !Array.isArray(value);
  need(good && Object.keys(value).sort().join() === keys.slice().sort().join(), "字段不符合格式", "the keys are not those of the format");
  return value;
}
// A lone half of a surrogate pair has no UTF-8, and Python's canonical JSON refuses it.
function wellFormed(text) { return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD"); }
