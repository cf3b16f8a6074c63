// The result file (docs/adjudication.md): signed verdicts, sealed for whoever holds the packet key.
const RESULT_TYPE = "application/vnd.mlb-offline.adjudication-result.v1+json";
const BODY_KEYS = ["format", "packet", "run", "identity_sha256", "content_sha256", "reviewer", "saved", "complete", "verdicts", "notes"];
const VERDICTS = ["是", "否", "?"];
const MAX_NOTE = 500;  // code points

function resultBody(page, work, reviewer, saved) {
  const { packet } = page, { verdicts, notes } = work.record();
  return {
    format: FORMATS.result,
    packet: packet.id,
    run: packet.run,
    identity_sha256: packet.identity_sha256,
    content_sha256: page.contentSha256,
    reviewer,
    saved,
    complete: Object.keys(verdicts).length === packet.tasks.length,
    verdicts,
    notes,
  };
}

async function makeResult(page, work, signer, saved) {
  const body = utf8(canonical(resultBody(page, work, signer.keyid, saved)));
  const signature = await signer.sign(pae(RESULT_TYPE, body));
  const envelope = { payload: base64(body), payloadType: RESULT_TYPE, signatures: [{ keyid: signer.keyid, sig: base64(signature) }] };
  const sealed = await page.vault.seal("result", utf8(canonical(envelope)));
  return canonical({ format: FORMATS.result, packet: page.packet.id, ...sealed });
}

function checkRecord(packet, verdicts, notes) {
  const known = new Set(packet.tasks.map((task) => task.id));
  for (const [value, good] of [
    [verdicts, (text) => VERDICTS.includes(text)],
    [notes, (text) => typeof text === "string" && text !== "" && Array.from(text).length <= MAX_NOTE],
  ]) {
    need(value !== null && typeof value === "object" && !Array.isArray(value), "评定内容不符合格式", "the verdicts are malformed");
    for (const [id, text] of Object.entries(value)) {
      need(known.has(id), "含有本任务包没有的编号", "it speaks of tasks that this packet does not have");
      need(good(text), "评定内容不符合格式", "the verdicts are malformed");
    }
  }
}

async function readResult(bytes, page, signer) {  // an earlier result of the same reviewer
  const { packet } = page;
  const outer = exact(parseCanonical(bytes), ["format", "packet", "nonce", "ciphertext"]);
  need(outer.format === FORMATS.result, "不是评定结果文件", "not a result file");
  need(outer.packet === packet.id, "这是另一任务包的结果", "this is the result of another packet");
  const plain = await page.vault.open("result", outer);
  need(plain !== null, "结果文件已被改动或损坏", "the result file was changed or damaged");
  const envelope = exact(parseCanonical(plain), ["payload", "payloadType", "signatures"]);
  need(envelope.payloadType === RESULT_TYPE && Array.isArray(envelope.signatures) && envelope.signatures.length === 1,
    "应恰有一个签名", "there must be exactly one signature");
  const { keyid, sig } = exact(envelope.signatures[0], ["keyid", "sig"]), payload = unbase64(envelope.payload);
  need(keyid === signer.keyid, "该结果由另一位医生签署，不能在其上继续", "another physician signed this result: it cannot be gone on with");
  need(await signer.verify(unbase64(sig), pae(RESULT_TYPE, payload)), "签名无效", "the signature is not valid");
  const body = exact(parseCanonical(payload), BODY_KEYS);
  need(body.packet === packet.id && body.content_sha256 === page.contentSha256, "评定的内容与本页不同", "what was settled is not what this page holds");
  checkRecord(packet, body.verdicts, body.notes);
  return { verdicts: body.verdicts, notes: body.notes };
}
