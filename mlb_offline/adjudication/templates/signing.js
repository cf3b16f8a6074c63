// The reviewer's key file (docs/format.md, Keys) and Ed25519 (RFC 8032) over DSSE's pre-authentication encoding.
const KEY_FORMAT = "mlb-offline/private-key/v1";
const PKCS8_ED25519 = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32]);  // RFC 8410, section 7
const SPKI_ED25519 = Uint8Array.from([48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0]);  // RFC 8410, section 4
const NO_ED25519 = [
  "此浏览器不支持 Ed25519 签名。可先保留自动保存的进度，换用新版 Chrome / Edge（137 起）、Firefox（129 起）或 Safari（17 起）",
  "this browser does not support Ed25519 signatures: use Chrome or Edge 137, Firefox 129, Safari 17 or newer",
];

async function supportsEd25519() {
  try { await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]); } catch (error) { return false; }
  return true;
}

function integer(value, low, high) { return Number.isInteger(value) && value >= low && value <= high; }

function readKeyFile(text) {
  const file = parsed(text);
  need(file !== null && typeof file === "object" && file.format === KEY_FORMAT, "不是私钥文件（应为 reviewer.key.json）",
    "not a private key file (reviewer.key.json)");
  exact(file, ["format", "kind", "created", "demonstration", "passphrase", "scrypt", "sealed"]);
  need(file.kind === "reviewer", "此私钥不是评定医生（reviewer）的密钥", "this is not a reviewer's key");
  need(typeof file.passphrase === "boolean", "字段不符合格式", "the keys are not those of the format");
  const { n, r, p, salt } = exact(file.scrypt, ["n", "r", "p", "salt"]);
  // The bounds of the format: a hostile file must not eat memory or hours.
  need(integer(n, 1024, 131072) && (n & (n - 1)) === 0 && integer(r, 1, 8) && integer(p, 1, 4) && unbase64(salt).length === 16,
    "私钥文件的 scrypt 参数超出范围", "the key file's scrypt parameters are out of bounds");
  const { nonce, ciphertext } = exact(file.sealed, ["nonce", "ciphertext"]);
  need(unbase64(nonce).length === 12 && unbase64(ciphertext).length === 48, "私钥文件已损坏", "the key file is damaged");
  return file;
}

async function unsealSeed(file, passphrase) {
  const { sealed, ...rest } = file, { n, r, p, salt } = file.scrypt;
  const key = await aesKey(await scrypt(utf8(file.passphrase ? passphrase : ""), unbase64(salt), n, r, p, 32));
  try {
    const way = { name: "AES-GCM", iv: unbase64(sealed.nonce), additionalData: utf8(canonical(rest)) };
    return new Uint8Array(await crypto.subtle.decrypt(way, key, unbase64(sealed.ciphertext)));
  } catch (error) { throw new Refused("密钥口令错误，或私钥文件已被改动", "wrong passphrase of the key, or the key file was changed"); }
}

function fingerprintOf(digest) {
  const groups = [];
  for (let n = 0; n < 16; n += 2) { groups.push(String(digest[n] * 256 + digest[n + 1]).padStart(5, "0")); }
  return groups.join(" ");
}

function pae(type, body) { return joined(utf8("DSSEv1 " + utf8(type).length + " " + type + " " + body.length + " "), body); }

// A signer: {keyid, fingerprint, sign, verify}; the seed is kept by the browser's key alone.
async function openSigner(text, passphrase) {
  const file = readKeyFile(text);
  need(await supportsEd25519(), ...NO_ED25519);
  const seed = await unsealSeed(file, passphrase), encoded = joined(PKCS8_ED25519, seed), way = { name: "Ed25519" };
  const readable = await crypto.subtle.importKey("pkcs8", encoded, way, true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", readable);
  const raw = unbase64(x.replace(/-/g, "+").replace(/_/g, "/") + "=");
  const spki = joined(SPKI_ED25519, raw), digest = new Uint8Array(await crypto.subtle.digest("SHA-256", spki));
  const own = await crypto.subtle.importKey("pkcs8", encoded, way, false, ["sign"]);
  const verifying = await crypto.subtle.importKey("spki", spki, way, false, ["verify"]);
  seed.fill(0);
  encoded.fill(0);
  return {
    keyid: hex(digest),
    fingerprint: fingerprintOf(digest),
    sign: async (message) => new Uint8Array(await crypto.subtle.sign(way, own, message)),
    verify: (signature, message) => crypto.subtle.verify(way, verifying, signature, message),
  };
}
