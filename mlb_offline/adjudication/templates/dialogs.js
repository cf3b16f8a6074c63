// Saving and loading: both need the reviewer's key, the one to sign, the other to check that it is the same person's.
function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => { URL.revokeObjectURL(link.href); }, 60000);
}

async function chosen(input, zh, en) {
  const file = input.files[0];
  need(file, zh, en);
  need(file.size <= 128 * 1024 * 1024, "文件过大", "the file is too large");
  return new Uint8Array(await file.arrayBuffer());
}

class KeyDialog {
  constructor(page, work, autosave, changed) {
    Object.assign(this, { page, work, autosave, changed, mode: "save", sure: false });
    el("save").addEventListener("click", () => { this.open("save"); });
    el("load").addEventListener("click", () => { this.open("load"); });
    el("key-close").addEventListener("click", () => { el("key-dialog").close(); });
    el("key-dialog").addEventListener("close", () => { el("key-passphrase").value = ""; });
    el("key-go").addEventListener("click", () => { this.go(); });
    el("key-passphrase").addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.isComposing) { this.go(); } });
    el("forget").addEventListener("click", () => { this.forget(); });
  }

  open(mode) {
    const { work } = this, left = work.tasks.length - work.done, saving = mode === "save";
    Object.assign(this, { mode, sure: false });
    el("key-title").textContent = saving ? spoken("签署并保存结果", "Sign and save the result") : spoken("载入先前保存的结果", "Load a result saved earlier");
    el("key-about").textContent = saving
      ? (left === 0 ? spoken(`全部 ${work.done} 项已评定。`, `All ${work.done} are settled.`)
        : spoken(`还有 ${left} 项未评定：将保存为部分结果，之后可载入继续。`, `${left} are open: a partial result is saved, to be loaded and gone on with.`))
      : spoken("用于换一台电脑继续评定；只能载入您自己签署的结果。", "To go on at another machine; only a result that you signed can be loaded.");
    el("earlier-part").hidden = saving;
    el("key-go").textContent = saving ? spoken("签署并保存", "Sign and save") : spoken("核对并载入", "Check and load");
    el("forget").hidden = true;
    say(el("key-said"), true, null);
    el("key-dialog").showModal();
  }

  async go() {
    const button = el("key-go");
    if (button.disabled) { return; }
    button.disabled = true;
    say(el("key-said"), true, spoken("正在解开私钥，约需数秒…", "Opening the key, which takes some seconds…"));
    try {
      const key = textOf(await chosen(el("key-file"), "请选择私钥文件", "choose the key file"));
      const signer = await openSigner(key, el("key-passphrase").value);
      el("key-passphrase").value = "";
      await (this.mode === "save" ? this.save(signer) : this.load(signer));
    } catch (error) {
      sayError(el("key-said"), error);
    }
    button.disabled = false;
  }

  async save(signer) {
    const { work, page } = this, saved = new Date().toISOString();
    work.claim(signer.keyid);
    const complete = work.done === work.tasks.length;
    const name = `adjudication-${page.packet.id.slice(0, 8)}-${signer.keyid.slice(0, 8)}-${complete ? "complete" : "partial"}.json`;
    download(name, await makeResult(page, work, signer, saved));
    await this.autosave.keep(work);
    say(el("key-said"), true, spoken(
      `已签署并保存：${name}\n${complete ? "全部完成" : "部分结果"}，共 ${work.done} / ${work.tasks.length} 项\n您的密钥指纹：${signer.fingerprint}`,
      `Signed and saved: ${name}\n${complete ? "complete" : "partial"}, ${work.done} of ${work.tasks.length}\nFingerprint of your key: ${signer.fingerprint}`));
    el("forget").textContent = spoken("清除本机进度", "Clear the progress kept here");
    el("forget").hidden = false;
    this.sure = false;
  }

  async load(signer) {
    const { work, page } = this;
    const earlier = await readResult(await chosen(el("earlier"), "请选择结果文件", "choose the result file"), page, signer);
    need(work.reviewer === null || work.reviewer === signer.keyid, "本页的评定属于另一位医生的密钥", "the verdicts on this page belong to another physician's key");
    const count = Object.keys(earlier.verdicts).length;
    if (work.done > 0 && !this.sure) {
      this.sure = true;
      throw new Refused(`载入的 ${count} 项将取代本页现有的 ${work.done} 项（可撤销）。确认请重新输入口令并再按一次。`,
        `The ${count} loaded will replace the ${work.done} on this page (it can be undone). To confirm, give the passphrase and press again.`);
    }
    work.claim(signer.keyid);
    work.replace(earlier);
    this.changed();
    el("key-dialog").close();
    say(el("notice"), true, spoken(`已载入 ${count} 项评定。`, `${count} verdicts were loaded.`));
  }

  forget() {
    if (!this.sure) {
      this.sure = true;
      el("forget").textContent = spoken("再按一次：清除并关闭页面内容", "Press again: clear, and close the page's content");
      return;
    }
    this.autosave.forget();
    location.reload();
  }
}
