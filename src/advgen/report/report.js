// Sort, filter and search the tables of a report, and browse its images.
// Without JavaScript, the tables and figures remain readable.
"use strict";

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// --- tables ---

const LONG = 6; // rows from which on a table has a search box
const FEW = 12; // values up to which a column of words can be chosen from

function number(text) {
  const value = parseFloat(text.replace(/,/g, "").replace("−", "-"));
  return Number.isNaN(value) ? -Infinity : value;
}

function tabulate(box, count) {
  const rows = [...box.querySelectorAll("tbody tr")];
  const heads = [...box.querySelectorAll("thead th")];
  if (!rows.length || rows[0].children.length !== heads.length) return;
  const text = (row, column) => row.children[column].textContent;
  const body = rows[0].parentElement;

  heads.forEach((head, column) => {
    const button = element("button", { type: "button", className: "sort", textContent: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const numeric = head.classList.contains("number");
      const order = (a, b) => numeric
        ? number(text(a, column)) - number(text(b, column))
        : text(a, column).localeCompare(text(b, column), "en", { numeric: true });
      rows.sort((a, b) => (down ? -1 : 1) * order(a, b));
      body.append(...rows);
    });
  });

  if (rows.length < LONG) return;
  const tools = box.querySelector(".tools");
  const caption = box.querySelector("caption").textContent;
  const search = element("input", { type: "search", id: `search-${count}`, autocomplete: "off" });
  const status = element("output", { className: "status" });
  const chosen = [];
  const narrow = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let matches = 0;
    for (const row of rows) {
      const words = row.textContent.toLowerCase();
      row.hidden = !wanted.every(word => words.includes(word))
        || chosen.some(([column, choice]) => choice.value && text(row, column) !== choice.value);
      matches += !row.hidden;
    }
    status.textContent = matches === rows.length ? `${rows.length} rows` : `${matches} of ${rows.length} rows`;
  };
  search.addEventListener("input", narrow);
  const tool = (label, control) => tools.append(element("span", { className: "tool" }, label, control));
  tool(element("label", { htmlFor: search.id }, "Search", element("span", { className: "hidden", textContent: ` ${caption}` })), search);
  heads.forEach((head, column) => {
    const values = [...new Set(rows.map(row => text(row, column)))];
    if (head.classList.contains("number") || values.length < 2 || values.length > FEW) return;
    const choice = element("select", { id: `filter-${count}-${column}` },
      element("option", { value: "", textContent: "all" }),
      ...values.sort().map(value => element("option", { value, textContent: value })));
    choice.addEventListener("change", narrow);
    chosen.push([column, choice]);
    tool(element("label", { htmlFor: choice.id, textContent: head.textContent }), choice);
  });
  tools.append(status);
  narrow();
}

// --- images to browse ---

function explore(box, count) {
  const data = JSON.parse(document.getElementById(box.dataset.explorer).textContent);
  const state = data.choices.map(choice => choice.first);
  const strip = element("ul", { className: "strip" });
  const status = element("output", { className: "status" });
  const updates = [];

  const show = () => {
    const tiles = data.strips[state.join(",")] || [];
    strip.replaceChildren(...tiles.map(([place, words, framed]) => {
      const picture = element("span", { className: "tile", role: "img", ariaLabel: framed ? `${words}, framed` : words });
      const across = place % data.across, down = Math.floor(place / data.across);
      const share = (at, of) => of > 1 ? `${100 * at / (of - 1)}%` : "0%";
      picture.style.backgroundPosition = `${share(across, data.across)} ${share(down, data.down)}`;
      return element("li", { className: framed ? "framed" : "" }, picture, element("span", { className: "words", textContent: words }));
    }));
    const framed = tiles.filter(tile => tile[2]).length;
    status.textContent = tiles.length ? `${framed ? `${framed} of ${tiles.length} framed` : `${tiles.length} images`}` : "no images";
    updates.forEach(update => update());
  };
  const choose = (choice, stop) => { state[choice] = stop; show(); };

  box.style.setProperty("--sheet", `url("data:image/png;base64,${data.sheet}")`);
  box.style.setProperty("--spread", `${100 * data.across}% ${100 * data.down}%`);
  box.style.setProperty("--shape", `${data.size[1]} / ${data.size[0]}`);
  box.append(element("p", { className: "about", textContent: data.about }));

  const cells = Object.keys(data.cells).length > 0;
  if (cells) box.append(matrix(data, state, choose, updates));
  const controls = element("div", { className: "controls" });
  data.choices.forEach((choice, number) => {
    if (choice.stops.length < 2 || (cells && number < 2)) return;
    const name = `choice-${count}-${number}`;
    if (choice.control === "slider") {
      const range = element("input", { type: "range", id: name, min: 0, max: choice.stops.length - 1, value: choice.first });
      const here = element("output", { htmlFor: name, className: "stop" });
      range.addEventListener("input", () => choose(number, Number(range.value)));
      updates.push(() => {
        here.textContent = choice.stops[state[number]];
        range.setAttribute("aria-valuetext", here.textContent);
      });
      controls.append(element("div", { className: "slider" }, element("label", { htmlFor: name, textContent: choice.name }), range, here));
    } else {
      const group = element("fieldset", {}, element("legend", { textContent: choice.name }));
      choice.stops.forEach((stop, place) => {
        const radio = element("input", { type: "radio", name, id: `${name}-${place}`, checked: place === choice.first });
        radio.addEventListener("change", () => choose(number, place));
        group.append(radio, element("label", { htmlFor: radio.id, textContent: stop }));
      });
      controls.append(group);
    }
  });
  box.append(controls, strip, status);
  box.hidden = false;
  show();
}

// A table of shares; hovering over a cell or focusing it shows its images.
function matrix(data, state, choose, updates) {
  const [down, across] = data.choices;
  const head = element("tr", {}, element("td"), ...across.stops.map(stop => element("th", { scope: "col", textContent: stop })));
  const table = element("table", { className: "matrix" }, element("caption", { textContent: data.measured }), element("thead", {}, head));
  const body = element("tbody");
  down.stops.forEach((name, row) => {
    const line = element("tr", {}, element("th", { scope: "row", textContent: name }));
    across.stops.forEach((_, column) => {
      const share = data.cells[`${row},${column}`];
      if (share === undefined) return line.append(element("td"));
      const cell = element("button", { type: "button", textContent: `${(100 * share).toFixed(1)} %` });
      const point = () => { state[0] = row; choose(1, column); };
      for (const event of ["mouseenter", "focus", "click"]) cell.addEventListener(event, point);
      updates.push(() => cell.setAttribute("aria-pressed", String(state[0] === row && state[1] === column)));
      line.append(element("td", {}, cell));
    });
    body.append(line);
  });
  table.append(body);
  return element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: data.measured }, table);
}

document.querySelectorAll(".table").forEach(tabulate);
document.querySelectorAll(".explorer").forEach(explore);

// Open the collapsed sections around the target of a link.
function openTarget() {
  let at = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();
