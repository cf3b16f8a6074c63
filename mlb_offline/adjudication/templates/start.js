// Opening the page, and the hands on it.
const VERDICT_KEYS = { 1: "是", y: "是", 2: "否", n: "否", 3: "?", "?": "?", "？": "?" };

function verdictOf(event) {
  // With a Chinese input method on, some browsers give the letter in `code` alone.
  const pressed = event.key === "Process" ? event.code.replace(/^(Key|Digit|Numpad)/, "") : event.key;
  return VERDICT_KEYS[pressed.toLowerCase()] ?? null;
}

function desk(page, work, autosave) {
  const view = new View(work);
  const changed = () => { view.show(); autosave.keep(work); };
  const go = (at) => { work.move(at); el("list").classList.remove("open"); changed(); };
  const decide = (verdict) => {
    if (autosave.stopped) { return; }
    say(el("notice"), true, null);
    work.decide(verdict);
    if (verdict !== "?") { work.move(work.nextOpen()); }
    changed();
    if (verdict === "?") { el("note").focus(); } else if (work.done === work.tasks.length) {
      say(el("notice"), true, spoken("全部已评定。请按“保存结果”签署并保存。", "All are settled. Press “Save result” to sign and save."));
    }
  };
  const undo = () => { if (!autosave.stopped && work.undo()) { changed(); } };

  new KeyDialog(page, work, autosave, changed);
  el("undo").addEventListener("click", undo);
  el("previous").addEventListener("click", () => { go(work.at - 1); });
  el("next").addEventListener("click", () => { go(work.at + 1); });
  el("only-open").addEventListener("change", () => { view.show(); });
  el("groups").addEventListener("click", (event) => { if (event.target.dataset.at !== undefined) { go(Number(event.target.dataset.at)); } });
  el("toggle-list").addEventListener("click", () => { el("toggle-list").setAttribute("aria-expanded", String(el("list").classList.toggle("open"))); });
  el("language").addEventListener("click", () => {
    const { dataset } = document.documentElement;
    dataset.language = dataset.language === "zh" ? "en" : "zh";
    el("language").textContent = dataset.language === "zh" ? "English" : "中文";
    view.group = null;
    view.show();
  });
  for (const button of document.querySelectorAll(".verdicts [data-verdict]")) {
    button.addEventListener("click", () => { decide(button.dataset.verdict); });
  }
  el("note").addEventListener("input", () => { work.annotate(el("note").value); autosave.keep(work); });
  el("note").addEventListener("keydown", (event) => {
    const done = event.key === "Escape" || (event.key === "Enter" && !event.shiftKey);
    if (!done || event.isComposing) { return; }
    event.preventDefault();
    el("note").blur();
    if (event.key === "Enter") { go(work.nextOpen()); }
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=checkbox]), textarea") || el("key-dialog").open;
    if (typing || event.isComposing || event.altKey || event.repeat && verdictOf(event) !== null) { return; }
    const letter = event.key.toLowerCase(), command = event.ctrlKey || event.metaKey, verdict = verdictOf(event);
    if (letter === "z" && command || letter === "u" && !command) { undo(); } else if (command) { return; } else if (verdict !== null) {
      decide(verdict);
    } else if (event.key === "ArrowLeft") { go(work.at - 1); } else if (event.key === "ArrowRight") { go(work.at + 1); } else { return; }
    event.preventDefault();
  });
  window.addEventListener("storage", (event) => {
    if (event.key !== autosave.name || autosave.stopped) { return; }
    autosave.stopped = true;  // two windows would overwrite each other's verdicts
    say(el("notice"), false, spoken("同一页面在另一窗口中被修改：本窗口已停止记录。请关闭其中一个，并重新载入留下的窗口。",
      "This page was changed in another window, and this one has stopped recording: close one, and reload the other."));
  });
  window.addEventListener("beforeunload", (event) => { if (!autosave.kept) { event.preventDefault(); } });
  document.activeElement.blur();  // else the first key still goes to the passphrase's field
  el("gate").hidden = true;
  el("desk").hidden = false;
  view.show();
  return view;
}

async function enter(sealed) {
  const button = el("open");
  if (button.disabled) { return; }
  button.disabled = true;
  say(el("gate-said"), true, spoken("正在打开…", "Opening…"));
  try {
    const page = await openPage(sealed, el("passphrase").value), work = new Work(page.packet);
    const trouble = (error) => {
      if (error !== null) { say(el("notice"), false, spoken("无法自动保存（浏览器存储不可用或已满）：请随时用“保存结果”保存。", "Autosave does not work (the browser's storage is closed or full): save the result often.")); }
    };
    const autosave = new Autosave(page, trouble);
    await begin(page, work, autosave, trouble);
    el("passphrase").value = "";
  } catch (error) {
    sayError(el("gate-said"), error);
  }
  button.disabled = false;
}

async function begin(page, work, autosave, trouble) {
  let restored = false;
  try { restored = await autosave.restore(work); } catch (error) {
    if (error instanceof Refused) {
      el("damaged").hidden = false;
      el("drop-damaged").onclick = () => { localStorage.removeItem(autosave.name); el("damaged").hidden = true; desk(page, work, autosave); };
      throw error;
    }
    trouble(error);
  }
  desk(page, work, autosave);
  if (restored) { say(el("notice"), true, spoken(`已恢复上次的进度：${work.done} 项。`, `Progress restored: ${work.done}.`)); }
  if (!(await supportsEd25519())) { say(el("notice"), false, spoken(...NO_ED25519)); }
}

function start() {
  const sealed = JSON.parse(el("sealed").textContent);
  el("gate").hidden = false;
  el("open").addEventListener("click", () => { enter(sealed); });
  el("passphrase").addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.isComposing) { enter(sealed); } });
  el("passphrase").focus();
}
start();
