// What sealing.py does: PBKDF2 → wrapped packet key → HKDF → one AES-256-GCM key a use.
const FORMATS = {
  page: "mlb-offline/adjudication-page/v1",
  autosave: "mlb-offline/adjudication-autosave/v1",
  result: "mlb-offline/adjudication-result/v1",
};

async function aesKey(raw) { return crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]); }
function associated(use, packet) { return utf8(canonical({ format: FORMATS[use], packet })); }

async function sealUnder(key, use, packet, plain) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: associated(use, packet) }, key, plain);
  return { nonce: base64(iv), ciphertext: base64(new Uint8Array(sealed)) };
}
async function unsealUnder(key, use, packet, sealed) {  // null where it does not decrypt
  const iv = unbase64(sealed.nonce), ciphertext = unbase64(sealed.ciphertext);
  need(iv.length === 12, "nonce 应为 12 字节", "a nonce must be 12 bytes");
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData: associated(use, packet) }, key, ciphertext));
  } catch (error) { return null; }
}

// The vault of an opened page: seals and opens records of this packet, a key for each use.
async function openVault(sealed, passphrase) {
  const stretched = await pbkdf2(utf8(passphrase), unbase64(sealed.pbkdf2.salt), sealed.pbkdf2.iterations, 32);
  const packetKey = await unsealUnder(await aesKey(stretched), "page", sealed.packet, sealed.wrapped);
  need(packetKey !== null, "口令错误", "wrong passphrase");
  const root = await crypto.subtle.importKey("raw", packetKey, "HKDF", false, ["deriveKey"]);
  const keys = {};
  for (const use of Object.keys(FORMATS)) {
    const way = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: utf8("mlb-offline/v1/adjudication/" + use) };
    keys[use] = await crypto.subtle.deriveKey(way, root, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  }
  return {
    seal: (use, plain) => sealUnder(keys[use], use, sealed.packet, plain),
    open: (use, record) => unsealUnder(keys[use], use, sealed.packet, record),
  };
}

async function openPage(sealed, passphrase) {
  need(globalThis.crypto && crypto.subtle, "此浏览器在这里不提供密码功能；请把文件保存到本机后直接打开，或更新浏览器",
    "this browser offers no WebCrypto here: save the file and open it from disk, or update the browser");
  exact(sealed, ["format", "packet", "pbkdf2", "wrapped", "content"]);
  need(sealed.format === FORMATS.page, "页面格式未知", "the page's format is not known");
  const vault = await openVault(sealed, passphrase);
  const content = await vault.open("page", sealed.content);
  need(content !== null, "页面内容已损坏，请重新获取文件", "the page's content is damaged: obtain the file again");
  const packet = parseCanonical(content);
  return { vault, packet, contentSha256: hex(new Uint8Array(await crypto.subtle.digest("SHA-256", content))) };
}
