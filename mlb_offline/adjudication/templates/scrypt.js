// scrypt (RFC 7914) on 32-bit words; WebCrypto has its PBKDF2-HMAC-SHA-256 and nothing else of it.
async function pbkdf2(password, salt, iterations, length) {
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  const bits = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 8 * length);
  return new Uint8Array(bits);
}

function salsa208(x) {  // RFC 7914, section 3: Salsa20/8 Core, in place on 16 words
  let x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = x[5], x6 = x[6], x7 = x[7];
  let x8 = x[8], x9 = x[9], x10 = x[10], x11 = x[11], x12 = x[12], x13 = x[13], x14 = x[14], x15 = x[15];
  let t;
  for (let round = 0; round < 8; round += 2) {
    t = x0 + x12 | 0; x4 ^= t << 7 | t >>> 25; t = x4 + x0 | 0; x8 ^= t << 9 | t >>> 23;
    t = x8 + x4 | 0; x12 ^= t << 13 | t >>> 19; t = x12 + x8 | 0; x0 ^= t << 18 | t >>> 14;
    t = x5 + x1 | 0; x9 ^= t << 7 | t >>> 25; t = x9 + x5 | 0; x13 ^= t << 9 | t >>> 23;
    t = x13 + x9 | 0; x1 ^= t << 13 | t >>> 19; t = x1 + x13 | 0; x5 ^= t << 18 | t >>> 14;
    t = x10 + x6 | 0; x14 ^= t << 7 | t >>> 25; t = x14 + x10 | 0; x2 ^= t << 9 | t >>> 23;
    t = x2 + x14 | 0; x6 ^= t << 13 | t >>> 19; t = x6 + x2 | 0; x10 ^= t << 18 | t >>> 14;
    t = x15 + x11 | 0; x3 ^= t << 7 | t >>> 25; t = x3 + x15 | 0; x7 ^= t << 9 | t >>> 23;
    t = x7 + x3 | 0; x11 ^= t << 13 | t >>> 19; t = x11 + x7 | 0; x15 ^= t << 18 | t >>> 14;
    t = x0 + x3 | 0; x1 ^= t << 7 | t >>> 25; t = x1 + x0 | 0; x2 ^= t << 9 | t >>> 23;
    t = x2 + x1 | 0; x3 ^= t << 13 | t >>> 19; t = x3 + x2 | 0; x0 ^= t << 18 | t >>> 14;
    t = x5 + x4 | 0; x6 ^= t << 7 | t >>> 25; t = x6 + x5 | 0; x7 ^= t << 9 | t >>> 23;
    t = x7 + x6 | 0; x4 ^= t << 13 | t >>> 19; t = x4 + x7 | 0; x5 ^= t << 18 | t >>> 14;
    t = x10 + x9 | 0; x11 ^= t << 7 | t >>> 25; t = x11 + x10 | 0; x8 ^= t << 9 | t >>> 23;
    t = x8 + x11 | 0; x9 ^= t << 13 | t >>> 19; t = x9 + x8 | 0; x10 ^= t << 18 | t >>> 14;
    t = x15 + x14 | 0; x12 ^= t << 7 | t >>> 25; t = x12 + x15 | 0; x13 ^= t << 9 | t >>> 23;
    t = x13 + x12 | 0; x14 ^= t << 13 | t >>> 19; t = x14 + x13 | 0; x15 ^= t << 18 | t >>> 14;
  }
  x[0] += x0; x[1] += x1; x[2] += x2; x[3] += x3; x[4] += x4; x[5] += x5; x[6] += x6; x[7] += x7;
  x[8] += x8; x[9] += x9; x[10] += x10; x[11] += x11; x[12] += x12; x[13] += x13; x[14] += x14; x[15] += x15;
}

function blockMix(block, mixed, x, r) {  // section 4; the result is in block, mixed and x are scratch
  x.set(block.subarray(32 * r - 16));
  for (let i = 0; i < 2 * r; i += 1) {
    for (let word = 0; word < 16; word += 1) { x[word] ^= block[16 * i + word]; }
    salsa208(x);
    mixed.set(x, 16 * ((i >> 1) + (i & 1 ? r : 0)));
  }
  block.set(mixed);
}

async function roMix(block, n, r) {  // section 5; in place on 32·r words
  const size = 32 * r, table = new Uint32Array(n * size), mixed = new Uint32Array(size), x = new Uint32Array(16);
  const breathe = () => new Promise((resolve) => { setTimeout(resolve, 0); });
  for (let i = 0; i < n; i += 1) {
    table.set(block, i * size);
    blockMix(block, mixed, x, r);
    if (i % 8192 === 8191) { await breathe(); }
  }
  for (let i = 0; i < n; i += 1) {
    const from = (block[size - 16] & (n - 1)) * size;
    for (let word = 0; word < size; word += 1) { block[word] ^= table[from + word]; }
    blockMix(block, mixed, x, r);
    if (i % 8192 === 8191) { await breathe(); }
  }
}

async function scrypt(password, salt, n, r, p, length) {  // section 6; n is a power of two
  const blocks = await pbkdf2(password, salt, 1, 128 * r * p), view = new DataView(blocks.buffer);
  for (let lane = 0; lane < p; lane += 1) {
    const start = 128 * r * lane, words = Uint32Array.from({ length: 32 * r }, (_, i) => view.getUint32(start + 4 * i, true));
    await roMix(words, n, r);
    words.forEach((word, i) => view.setUint32(start + 4 * i, word, true));
  }
  return pbkdf2(password, blocks, 1, length);
}
