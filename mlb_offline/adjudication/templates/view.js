// What is seen. Everything of the packet is put in as text, never as markup.
const el = (id) => document.getElementById(id);
function spoken(zh, en) { return document.documentElement.dataset.language === "zh" ? zh : en; }

// Datasets whose criterion is itself the question; every other judged dataset is settled point by point.
const ASKED_AS_WRITTEN = new Set(["GeneralSafety", "MACompliance", "MAEthic"]);

function say(place, good, text) {
  place.textContent = text ?? "";
  place.className = "said " + (good ? "good" : "bad");
  place.hidden = text === null;
}
function sayError(place, error) {
  const known = error instanceof Refused;
  say(place, false, known ? spoken(error.zh, error.en) : spoken("意外错误：", "unexpected error: ") + error);
}

class View {
  constructor(work) {
    this.work = work;
    this.groups = [];
    work.tasks.forEach((task, at) => {
      const last = this.groups[this.groups.length - 1];
      if (last !== undefined && last.name === task.group) { last.places.push(at); } else { this.groups.push({ name: task.group, title: task.title, places: [at] }); }
    });
    this.chips = [];
    this.looks = [];
    this.group = null;
    this.listed();
  }

  listed() {
    el("groups").replaceChildren(...this.groups.map((group, number) => {
      const box = document.createElement("div"), title = document.createElement("p"), chips = document.createElement("div");
      box.className = "group";
      title.textContent = (number + 1) + ". " + group.title;
      chips.className = "chips";
      for (const at of group.places) {
        const chip = document.createElement("button");
        chip.type = "button";
        chip.dataset.at = at;
        chip.dataset.number = chips.childElementCount + 1;
        chip.tabIndex = -1;
        this.chips[at] = chip;
        chips.append(chip);
      }
      box.append(title, chips);
      group.box = box;
      return box;
    }));
  }

  show() {
    const { work } = this, { task } = work, group = this.groups.find((one) => one.places.includes(work.at));
    this.counted();
    this.marked(group);
    const within = group.places.indexOf(work.at) + 1;
    el("place").textContent = spoken(
      `第 ${work.at + 1} / ${work.tasks.length} 项 · ${task.title} · 此回答的第 ${within} / ${group.places.length} 项`,
      `${work.at + 1} of ${work.tasks.length} · ${task.title} · ${within} of ${group.places.length} on this answer`);
    if (this.group !== group) { this.answered(task); }
    this.group = group;
    this.asked(task);
  }

  counted() {
    const { work } = this, all = work.tasks.length, unsure = [...work.verdicts.values()].filter((verdict) => verdict === "?").length;
    const more = unsure === 0 ? "" : spoken(` · 无法判断 ${unsure}`, ` · undecided ${unsure}`);
    el("count").textContent = spoken(`已完成 ${work.done} / ${all} · 剩余 ${all - work.done}`, `${work.done} of ${all} done · ${all - work.done} open`) + more;
    el("bar").max = all;
    el("bar").value = work.done;
    el("undo").disabled = work.past.length === 0;
    el("previous").disabled = work.at === 0;
    el("next").disabled = work.at === all - 1;
  }

  marked(here) {
    const { work } = this, only = el("only-open").checked;
    work.tasks.forEach((task, at) => {
      const chip = this.chips[at], verdict = work.verdict(task);
      const looks = [verdict, at === work.at, only, document.documentElement.dataset.language].join();
      if (this.looks[at] === looks) { return; }  // thousands of them, and a verdict changes two
      this.looks[at] = looks;
      chip.textContent = verdict ?? chip.dataset.number;
      if (verdict === null) { delete chip.dataset.verdict; } else { chip.dataset.verdict = verdict; }
      chip.toggleAttribute("aria-current", at === work.at);
      chip.setAttribute("aria-label", spoken(`第 ${at + 1} 项：${verdict ?? "未评定"}`, `${at + 1}: ${verdict ?? "open"}`));
      chip.hidden = only && verdict !== null;
    });
    for (const group of this.groups) {
      const hidden = group.places.every((at) => this.chips[at].hidden);
      if (group.box.hidden !== hidden) { group.box.hidden = hidden; }
      group.box.classList.toggle("here", group === here);
    }
    el("none-open").hidden = !only || work.done < work.tasks.length;
    if (here !== this.group) { here.box.scrollIntoView({ block: "nearest" }); }
  }

  answered(task) {
    el("question-part").hidden = task.question === "";
    el("question").textContent = task.question;
    el("answer").textContent = task.answer === "" ? spoken("（回答为空）", "(the answer is empty)") : task.answer;
    el("answer").classList.toggle("empty", task.answer === "");
    el("question").scrollTop = 0;
    el("answer").scrollTop = 0;
  }

  asked(task) {
    const written = ASKED_AS_WRITTEN.has(task.dataset), verdict = this.work.verdict(task);
    el("asked").textContent = written
      ? spoken("请就上面的回答判断", "Decide about the answer above")
      : spoken("回答是否包含此评估要点，且医学上正确？", "Does the answer contain this point, and is it medically right?");
    el("topic").textContent = task.topic;
    el("topic").hidden = task.topic === "";
    el("criterion").textContent = task.criterion;
    el("rule").textContent = written
      ? spoken("是：该说法对此回答成立；否：不成立。", "是: it holds of this answer; 否: it does not.")
      : spoken("是：包含且符合医学规范；否：缺失或有误；要点与回答均为“不详”时选是。",
        "是: contained and medically right; 否: missing or wrong; 是 too where point and answer are both 不详.");
    for (const button of document.querySelectorAll(".verdicts [data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
    }
    if (el("note").value !== this.work.note(task)) { el("note").value = this.work.note(task); }
  }
}
