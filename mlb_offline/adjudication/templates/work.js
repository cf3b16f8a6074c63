// The verdicts so far, and their keeping: no DOM in here.
class Work {
  constructor(packet) {
    this.tasks = packet.tasks;
    this.packet = packet;
    this.at = 0;
    this.verdicts = new Map();
    this.notes = new Map();
    this.reviewer = null;  // key id of whose verdicts these are, once a key was used
    this.past = [];
  }
  get task() { return this.tasks[this.at]; }
  get done() { return this.verdicts.size; }
  verdict(task) { return this.verdicts.get(task.id) ?? null; }
  note(task) { return this.notes.get(task.id) ?? ""; }

  move(at) { this.at = Math.min(Math.max(at, 0), this.tasks.length - 1); }
  nextOpen() {  // the next without verdict, from the start again after the end; else simply the next
    for (let step = 1; step <= this.tasks.length; step += 1) {
      const at = (this.at + step) % this.tasks.length;
      if (!this.verdicts.has(this.tasks[at].id)) { return at; }
    }
    return Math.min(this.at + 1, this.tasks.length - 1);
  }
  remember(more) {
    this.past.push({ at: this.at, verdicts: new Map(this.verdicts), ...more });
    if (this.past.length > 200) { this.past.shift(); }
  }
  decide(verdict) {
    this.remember({});  // notes stay: undoing a verdict must not lose what was written since
    this.verdicts.set(this.task.id, verdict);
  }
  undo() {
    const before = this.past.pop();
    if (before !== undefined) { Object.assign(this, before); }
    return before !== undefined;
  }
  annotate(text) {
    const note = wellFormed(text);
    if (note === "") { this.notes.delete(this.task.id); } else { this.notes.set(this.task.id, note); }
  }
  replace({ verdicts, notes }) {
    this.remember({ notes: new Map(this.notes) });
    this.verdicts = new Map(Object.entries(verdicts));
    this.notes = new Map(Object.entries(notes));
    this.move(this.done < this.tasks.length ? this.tasks.findIndex((task) => !this.verdicts.has(task.id)) : 0);
  }
  record() { return { verdicts: Object.fromEntries(this.verdicts), notes: Object.fromEntries(this.notes) }; }
  claim(keyid) {
    need(this.reviewer === null || this.reviewer === keyid, "本页的评定属于另一位医生的密钥，不能用这把密钥签署",
      "the verdicts on this page belong to another physician's key: this key cannot sign them");
    this.reviewer = keyid;
  }
}

// Encrypted copies in this browser's storage, written one after another; `trouble` hears of a failure, or null.
class Autosave {
  constructor(page, trouble) {
    this.page = page;
    this.trouble = trouble;
    this.name = "mlb-offline/adjudication/" + page.packet.id;
    this.writing = Promise.resolve();
    this.made = 0;  // how many states were to be kept, and how many are
    this.stored = 0;
    this.stopped = false;
  }
  get kept() { return this.made === this.stored; }
  async restore(work) {  // whether there was anything; Refused where it is damaged
    const text = localStorage.getItem(this.name);
    if (text === null) { return false; }
    try {
      const outer = exact(parseCanonical(utf8(text)), ["format", "packet", "nonce", "ciphertext"]);
      need(outer.format === FORMATS.autosave && outer.packet === this.page.packet.id, "格式不符", "wrong format");
      const plain = await this.page.vault.open("autosave", outer);
      need(plain !== null, "无法解密", "it does not decrypt");
      const saved = exact(parseCanonical(plain), ["content_sha256", "reviewer", "at", "verdicts", "notes"]);
      need(saved.content_sha256 === this.page.contentSha256, "内容不同", "other content");
      need(Number.isInteger(saved.at) && (saved.reviewer === null || typeof saved.reviewer === "string"), "格式不符", "wrong format");
      checkRecord(this.page.packet, saved.verdicts, saved.notes);
      work.replace(saved);
      work.past = [];
      work.reviewer = saved.reviewer;
      work.move(saved.at);
    } catch (error) {
      if (!(error instanceof Refused)) { throw error; }
      throw new Refused("本机自动保存的进度已损坏（" + error.zh + "），未载入", "the progress kept in this browser is damaged (" + error.en + ") and was not loaded");
    }
    return true;
  }
  keep(work) {
    if (this.stopped) { return this.writing; }
    const state = { content_sha256: this.page.contentSha256, reviewer: work.reviewer, at: work.at, ...work.record() };
    this.made += 1;
    const number = this.made;
    this.writing = this.writing.then(async () => {
      try {
        const sealed = await this.page.vault.seal("autosave", utf8(canonical(state)));
        if (this.stopped) { return; }
        localStorage.setItem(this.name, canonical({ format: FORMATS.autosave, packet: this.page.packet.id, ...sealed }));
        this.stored = number;
        this.trouble(null);
      } catch (error) {
        this.trouble(error);
      }
    });
    return this.writing;
  }
  forget() {
    this.stopped = true;
    this.stored = this.made;
    localStorage.removeItem(this.name);
  }
}
