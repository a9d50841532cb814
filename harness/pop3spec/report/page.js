"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (id) => document.getElementById(id);
  const form = one("finder");
  const words = one("words");
  const selects = all("select[data-by]", form);
  const entries = all("[data-verdict]");
  const groups = all("[data-group]").reverse(); // the inner ones first
  const sections = all("[data-section]");
  const still = all(".still");
  const unfolded = new Set(); // what a search has opened, and not the reader
  let texts = null;

  document.documentElement.classList.add("scripted");
  form.hidden = false;

  // Read once, at the first search, and not while the page loads.
  const textOf = () => {
    texts ??= entries.map((entry) =>
      `${entry.dataset.words ?? ""} ${entry.textContent}`.toLowerCase());
    return texts;
  };

  const isSeen = (entry) => !entry.hidden;
  const numberOf = (list) => new Set(list.map((entry) => entry.dataset.scenario)).size;
  const isScenario = (entry) => entry.dataset.scenario !== undefined;
  const isRule = (entry) => entry.dataset.rule !== undefined;
  const scenarios = numberOf(entries.filter(isScenario));
  const rules = entries.filter(isRule).length;

  const total = `${scenarios} scenarios, ${rules} rules`;
  one("found").textContent = total;

  const find = () => {
    const terms = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = selects.filter((select) => select.value)
      .map((select) => [select.dataset.by, select.value]);
    const isActive = terms.length > 0 || chosen.length > 0;
    const found = terms.length > 0 ? textOf() : null;
    entries.forEach((entry, index) => {
      entry.hidden = !(
        chosen.every(([by, value]) => entry.dataset[by].split(" ").includes(value)) &&
        terms.every((term) => found[index].includes(term))
      );
    });
    for (const group of groups) {
      group.hidden = isActive && !all("[data-verdict]", group).some(isSeen);
      if (!group.matches("[data-fold]")) continue;
      if (isActive && !group.hidden && !group.open) {
        group.open = true;
        unfolded.add(group);
      } else if (!isActive && unfolded.delete(group)) {
        group.open = false;
      }
    }
    for (const section of sections) {
      const count = section.querySelector(".count");
      const counted = section.querySelector(".breach") ? ".breach" : "[data-verdict]";
      const seen = all(counted, section).filter(isSeen).length;
      section.hidden = isActive && seen === 0;
      count.textContent = isActive ? `${seen} of ${count.dataset.all}` : count.dataset.all;
    }
    for (const section of still) section.hidden = isActive;
    const shown = entries.filter(isSeen);
    const seenScenarios = numberOf(shown.filter(isScenario));
    const seenRules = shown.filter(isRule).length;
    one("nothing").hidden = !isActive || shown.length > 0;
    one("found").textContent = isActive
      ? `${seenScenarios} of ${scenarios} scenarios, ${seenRules} of ${rules} rules`
      : total;
  };

  let waiting = 0;
  const findSoon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(find, 80);
  };
  const clear = () => setTimeout(find, 0); // the fields are empty after this event alone

  words.addEventListener("input", findSoon);
  for (const select of selects) select.addEventListener("change", find);
  form.addEventListener("submit", (event) => { event.preventDefault(); find(); });
  form.addEventListener("reset", clear);
  one("again").addEventListener("click", () => { form.reset(); words.focus(); });

  // A link into what a filter hides, or what is folded, has to lead there.
  const reveal = () => {
    const goal = one(location.hash.slice(1));
    if (!goal) return;
    if (goal.closest("[hidden]")) {
      form.reset();
      find();
    }
    for (let each = goal; each; each = each.parentElement) {
      if (each.localName === "details") each.open = true;
    }
    goal.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  const select = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const command = button.parentElement.querySelector("code");
    select(command);
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: copy it";
    }
    one("found").textContent = button.textContent;
    setTimeout(() => { button.textContent = "Copy"; }, 3000);
  });
})();
