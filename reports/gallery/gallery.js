"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const form = document.getElementById("finder");
  const fields = all("[name]", form);
  const lines = all(".matrix tr[id]");
  const groups = all(".matrix tbody[data-within]");
  const specifications = all(".matrix tbody[data-specification]");
  const count = document.getElementById("count");
  const texts = lines.map((line) => line.querySelector("th").textContent.toLowerCase());
  const standings = { disagree: "disputed", broken: "broken" };

  form.hidden = false;

  const value = (name) => form.elements[name].value;

  const find = () => {
    const terms = value("q").toLowerCase().split(/\s+/).filter(Boolean);
    const [show, level, topic] = ["show", "level", "topic"].map(value);
    let shown = 0;
    lines.forEach((line, index) => {
      const isSeen =
        (!show || standings[show] in line.dataset) &&
        (!level || line.dataset.level === level) &&
        (!topic || line.dataset.topic.split(" ").includes(topic)) &&
        terms.every((term) => texts[index].includes(term));
      line.hidden = !isSeen;
      shown += isSeen;
    });
    const left = new Set();
    for (const group of groups) {
      group.hidden = !all("tr[id]", group).some((line) => !line.hidden);
      if (!group.hidden) left.add(group.dataset.within);
    }
    for (const each of specifications) each.hidden = !left.has(each.dataset.specification);
    document.getElementById("nothing").hidden = shown > 0;
    count.textContent = shown === lines.length ? `${shown}` : `${shown} of ${lines.length}`;
    document.getElementById("found").textContent = `${shown} of ${lines.length} rules`;
  };

  // What is chosen stands in the address, so that it can be sent to somebody.
  const tell = () => {
    const chosen = new URLSearchParams();
    for (const field of fields) if (field.value) chosen.set(field.name, field.value);
    const said = `${chosen}`;
    history.replaceState(null, "", said ? `#${said}` : location.pathname + location.search);
  };

  const read = () => {
    const said = location.hash.slice(1);
    const line = lines.find((each) => each.id === said);
    if (line) {
      if (line.hidden) { form.reset(); find(); }
      line.scrollIntoView();
    }
    if (!said.includes("=")) return;
    const chosen = new URLSearchParams(said);
    for (const field of fields) {
      const given = chosen.get(field.name) ?? "";
      field.value = given;
      if (field.value !== given) field.value = "";
    }
    find();
  };

  const choose = () => { find(); tell(); };

  for (const name of ["input", "change"]) form.addEventListener(name, choose);
  form.addEventListener("submit", (event) => { event.preventDefault(); choose(); });
  form.addEventListener("reset", () => setTimeout(choose, 0)); // by then the fields are empty
  addEventListener("hashchange", read);
  find();
  read();
})();
