// Lines of the table, made when they are needed; texts of the run are only ever put in as text.
const data = JSON.parse(document.getElementById("data").textContent);
const cols = +document.getElementById("data").dataset.cols;
const form = document.querySelector(".filter"), body = document.querySelector("tbody");
const count = document.getElementById("count"), more = document.getElementById("more");
const PAGE = 60;
const word = (place) => (place < 0 ? "not read" : data.words[place]);
const signed = (hundredths) => (hundredths === null ? "–" : (hundredths < 0 ? "−" : "+") + (Math.abs(hundredths) / 100).toFixed(2));
const rows = data.rows.map(([item, question, scheme, expected, answers, margins, right, top]) => {
  const there = margins.filter((margin) => margin !== null);
  const hits = [...right].filter((one) => one === "1").length;
  return { item, question, scheme, expected, answers, margins, right, top, hits, unread: right.includes("2"),
    low: there.length ? Math.min(...there) : null, high: there.length ? Math.max(...there) : null,
    text: data.items[item].join(" ").toLowerCase() };
});
const make = (tag, text, kind) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};
const rule = (label) => {  // may break behind a colon or a comma
  const made = make("code");
  label.split(/(?<=[:,])/).forEach((part, place) => made.append(...(place ? [make("wbr")] : []), part));
  return made;
};
for (const name of ["scheme", "question"])
  data[name + "s"].forEach((label, place) => form.elements[name].add(new Option(label, place)));
const kinds = ["miss", "right", "unread"];
const squares = (row) => {
  const made = make("span", undefined, "squares");
  made.style.gridTemplateColumns = `repeat(${cols}, 13px)`;
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", `${row.hits} of ${row.right.length} right`);
  [...row.right].forEach((one, cell) => {
    const square = make("i", undefined, kinds[one]);
    square.title = `${data.cells[cell]}: ${word(row.answers[cell])}, margin ${signed(row.margins[cell])}`;
    made.append(square);
  });
  return made;
};
const told = (row) => {
  const line = make("tr", undefined, "told"), cell = make("td");
  cell.colSpan = 7;
  const asked = data.asked.length ? data.asked[row.item][row.question] : "";
  if (asked) cell.append(make("q", asked), " ");
  const varies = Array.isArray(row.expected);
  if (!varies && row.expected >= 0) cell.append(`Right: ${word(row.expected)}.`);
  const list = make("ul");
  row.answers.forEach((answer, place) => {
    const rather = row.top && row.top[place] >= 0 ? `, would rather say “${word(row.top[place])}”` : "";
    const right = varies && row.right[place] !== "1" ? ` (right: ${word(row.expected[place])})` : "";
    list.append(make("li", `${data.cells[place]}: ${word(answer)}${right}, ${signed(row.margins[place])}${rather}`, kinds[row.right[place]]));
  });
  cell.append(list);
  line.append(cell);
  return line;
};
const drawn = (row) => {
  const line = make("tr"), [number, caption, group] = data.items[row.item];
  const head = make("th"), open = make("button", number);
  head.scope = "row";
  open.type = "button";
  open.setAttribute("aria-expanded", "false");
  open.setAttribute("aria-label", `Item ${number}, ${data.questions[row.question]}, ${data.schemes[row.scheme]}: answers`);
  open.addEventListener("click", () => {
    const opened = open.getAttribute("aria-expanded") === "true";
    if (opened) line.nextSibling.remove(); else line.after(told(row));
    open.setAttribute("aria-expanded", String(!opened));
  });
  head.append(open);
  const scheme = make("td", undefined, "scheme"), cells = make("td", undefined, "cells");
  scheme.append(rule(data.schemes[row.scheme]));
  cells.append(squares(row));
  line.append(head, make("td", caption || group, "content"), make("td", data.questions[row.question], "question"), scheme,
    make("td", `${row.hits} of ${row.right.length}`, "of"), cells,
    make("td", row.low === null ? "–" : `${signed(row.low)} to ${signed(row.high)}`, "margins"));
  return line;
};
const WHICH = { all: () => true, miss: (row) => row.right.includes("0"), some: (row) => row.hits > 0 && row.hits < row.right.length,
  right: (row) => row.hits === row.right.length, unread: (row) => row.unread };
const ORDER = { item: () => 0, right: (a, b) => a.hits - b.hits, spread: (a, b) => (b.high - b.low) - (a.high - a.low) };
let found = [], shown = 0;
const extend = () => {
  body.append(...found.slice(shown, shown + PAGE).map(drawn));
  shown = Math.min(found.length, shown + PAGE);
  more.hidden = shown === found.length;
  count.textContent = `${found.length} of ${rows.length} lines${more.hidden ? "" : `, the first ${shown} shown`}`;
};
const filter = () => {
  const of = (name) => form.elements[name].value;
  const text = of("text").trim().toLowerCase();
  found = rows.filter((row) => (!text || row.text.includes(text)) && (of("scheme") === "" || row.scheme === +of("scheme"))
    && (of("question") === "" || row.question === +of("question")) && WHICH[of("which")](row)).sort(ORDER[of("order")]);
  body.replaceChildren();
  shown = 0;
  extend();
};
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
more.addEventListener("click", extend);
filter();
