"use strict";
// Row text reaches the page as text nodes alone: nothing here writes markup.
(() => {
  const PAGE = 50;
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);
  const block = byId("index");
  document.querySelectorAll("[data-diff]").forEach((both) => {
    const [left, right] = both.children;
    showDiff(left, right, left.textContent, right.textContent);
  });
  if (!block) {
    document.documentElement.dataset.ready = "yes";
    return;
  }
  const index = JSON.parse(block.textContent);
  const columns = index.columns;
  const keys = columns.key.texts;
  const nRows = keys.length;
  const placeOf = new Map(keys.map((key, i) => [key, i]));
  const two = index.marks.length > 1;
  const last = index.marks[index.marks.length - 1];

  // ---- elements

  function el(name, attributes, ...children) {
    return fill(document.createElement(name), attributes, children);
  }
  function svg(name, attributes, ...children) {
    return fill(document.createElementNS(SVG, name), attributes, children);
  }
  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
    }
    for (const child of children.flat(9)) {
      if (child !== null && child !== undefined && child !== false) node.append(child);
    }
    return node;
  }
  function shown(value, digits = 2, plus = false) {
    if (value === null || value === undefined) return "–";
    if (Number.isInteger(value) && digits === 0) return value.toLocaleString("en");
    const text = Math.abs(value).toFixed(digits);
    if (Number(text) === 0) return value === 0 ? text : `${value < 0 ? "−" : plus ? "+" : ""}${Math.abs(value).toPrecision(1)}`;
    return (value < 0 ? "−" : plus ? "+" : "") + text;
  }

  // ---- packed texts

  function bytesOf(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  }
  // This script stands before the chunks, which are many: the table is there before them.
  const whole = new Promise((done) => {
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", done);
    else done();
  });
  async function unpacked(id) {
    if (!byId(id)) await whole;
    const packed = new Blob([bytesOf(byId(id).textContent)]);
    return new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }
  const kept = new Map();
  function chunkOf(number) {
    if (!kept.has(number)) {
      if (kept.size >= 6) kept.delete(kept.keys().next().value);
      kept.set(number, unpacked(`chunk${number}`));
    }
    return kept.get(number);
  }
  async function rowAt(place) {
    const rows = await chunkOf(Math.floor(place / index.chunk));
    return rows[place % index.chunk];
  }

  // ---- which rows, in which order

  const state = { sort: null, down: true, preset: "all", filters: [], query: "", hits: null, page: 0, open: null };
  let order = [];
  let heads = null;
  let search = 0;

  const outcome = (place, mark = last) => {
    const column = columns[`outcome${mark}`];
    return column.words[column.codes[place]];
  };
  const anyMark = (test) => (place) => index.marks.some((mark) => test(place, mark));
  const presets = {
    all: ["All", () => true],
    improved: ["Improved", (i) => outcome(i) === "improved"],
    worse: ["Worse", anyMark((i, mark) => outcome(i, mark) === "worse")],
    ended: ["Ended worse", anyMark((i, mark) => (columns[`last${mark}`].numbers[i] ?? 0) < 0)],
    failed: ["Failed", anyMark((i, mark) => outcome(i, mark) === "failed")],
    undecided: ["Undecided", anyMark((i, mark) => columns[`undecided${mark}`].numbers[i] === 1)],
    differ: ["Differ", (i) => columns.differs.numbers[i] === 1],
    marked: ["Marked", (i) => keys[i] in marks],
  };
  const hints = {
    improved: "an evolution scores higher than the original",
    worse: "every evolution scores lower than the original",
    ended: "the last evolution scores lower than the original",
    undecided: "the judge gives less than three to one for either",
    differ: "the two runs keep other responses",
  };
  if (!two) delete presets.differ;

  function passes(filter) {
    const column = columns[filter.column];
    if (filter.holds !== undefined) {
      const word = column.words.indexOf(filter.holds);
      return (i) => column.lists[i].includes(word);
    }
    if (filter.is !== undefined) {
      const word = column.words.indexOf(filter.is);
      return (i) => column.codes[i] === word;
    }
    const { low, high } = filter;
    return (i) => {
      const value = column.numbers[i];
      return value !== null && value >= low && (value < high || (filter.last && value <= high));
    };
  }
  function arrange() {
    const tests = [presets[state.preset][1], ...state.filters.map(passes)];
    if (state.hits) tests.push((i) => state.hits[i] === 1);
    order = [];
    for (let i = 0; i < nRows; i++) if (tests.every((test) => test(i))) order.push(i);
    if (state.sort) {
      const value = sortValue(state.sort);
      const sign = state.down ? -1 : 1;
      order.sort((a, b) => {
        const x = value(a), y = value(b);
        if (x === null || x === undefined) return y === null || y === undefined ? a - b : 1;
        if (y === null || y === undefined) return -1;
        return x < y ? -sign : x > y ? sign : a - b;
      });
    }
    state.page = Math.max(0, Math.min(state.page, Math.ceil(order.length / PAGE) - 1));
  }
  function sortValue(name) {
    if (name === "key") return (i) => keys[i];
    if (name === "head") return (i) => (heads ? heads[i] : "");
    const column = columns[name];
    if (column.numbers) return (i) => column.numbers[i];
    if (column.codes) return (i) => (column.codes[i] < 0 ? null : column.words[column.codes[i]]);
    return (i) => column.lists[i].map((word) => column.words[word]).join(" ");
  }
  async function find(query) {
    const turn = ++search;
    state.query = query;
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) {
      state.hits = null;
      refresh();
      return;
    }
    const hits = new Uint8Array(nRows);
    const nChunks = Math.ceil(nRows / index.chunk);
    for (let c = 0; c < nChunks; c++) {
      const rows = await unpacked(`chunk${c}`);
      if (turn !== search) return;
      rows.forEach((row, i) => {
        const texts = [String(row.id ?? ""), String(row.instruction ?? "")];
        for (const side of row.runs) if (side) texts.push(...side.responses, side.error || "");
        const text = texts.join("\n").toLowerCase();
        if (words.every((word) => text.includes(word))) hits[c * index.chunk + i] = 1;
      });
      if (c % 25 === 24) status.textContent = `Searching: ${Math.round((100 * c) / nChunks)} %`;
    }
    state.hits = hits;
    state.page = 0;
    refresh();
  }

  // ---- marks: kept by the browser, under this report's own name

  const STORE = `structq-report-${index.report}`;
  let marks = {};
  try {
    marks = JSON.parse(localStorage.getItem(STORE) || "{}");
  } catch { /* a browser that keeps nothing: the marks live as long as the page */ }
  function keepMark(key, mark) {
    const empty = mark.best === undefined && !mark.tie && !mark.bad && !mark.note && !(mark.scores || []).some((s) => s !== null);
    if (empty) delete marks[key];
    else marks[key] = mark;
    try {
      localStorage.setItem(STORE, JSON.stringify(marks));
    } catch { /* as above */ }
    tools();
    drawTable();
  }
  function exported() {
    const lines = [];
    for (const [key, mark] of Object.entries(marks)) {
      const labels = {};
      if (mark.tie) labels.tie = true;
      else if (mark.best !== undefined) labels.best = mark.best;
      const scores = mark.scores || [];
      if (scores.length === mark.responses.length && scores.every((s) => s !== null)) labels.human_scores = scores;
      if (mark.bad) labels.bad = true;
      const line = { id: mark.id ?? key, instruction: mark.instruction, responses: mark.responses, labels };
      if (mark.note) line.note = mark.note;
      lines.push(JSON.stringify(line).replace(/[\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16)}`));
    }
    return lines.map((line) => `${line}\n`).join("");
  }
  function download() {
    const link = el("a", {
      href: URL.createObjectURL(new Blob([exported()], { type: "application/jsonl" })),
      download: `${index.runs.join("-")}.marks.jsonl`,
    });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // ---- the table

  const section = byId("rows");
  byId("wait").remove();
  const status = el("p", { class: "status", role: "status", id: "status" });
  const box = el("input", { type: "search", id: "search", placeholder: "Search all texts", "aria-label": "Search all texts" });
  let pause = 0;
  box.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => find(box.value), 200);
  });
  const buttons = el("div", { class: "presets", role: "group", "aria-label": "Which rows" });
  const chips = el("div", { class: "chips" });
  const exporter = el("button", { type: "button", id: "export", onclick: download });
  const bodyRows = el("tbody");
  const headRow = el("tr");
  const table = el("table", { class: "rows" }, el("caption", { class: "hidden" }, "Rows of the run"), el("thead", null, headRow), bodyRows);
  const pager = el("nav", { class: "pager", "aria-label": "Pages" });
  const detail = el("article", { id: "detail", tabindex: "-1", "aria-label": "The chosen row", hidden: true });
  section.append(
    el("div", { class: "tools" }, box, buttons, exporter), chips, status,
    el("div", { class: "split" }, el("div", { class: "list" }, el("div", { class: "wide" }, table), pager), detail),
  );

  const fields = [["key", "Row", "key"], ["head", "Instruction", "text"]];
  if (two) {
    index.marks.forEach((mark, i) => fields.push([`after${mark}`, `Kept, ${i + 1}`, "score"]));
    fields.push(["delta", "Difference", "gain"], [`outcome${last}`, "Outcome", "word"]);
  } else if (columns.before.numbers.some((value) => value !== null)) {
    fields.push(["before", "Original", "score"], ["after", "Kept", "score"], ["gain", "Gain", "gain"]);
    fields.push(["added", "Added", "count"], ["steps", "Mutations", "words"], ["outcome", "Outcome", "word"]);
  } else {
    const known = (name) => columns[name].numbers.some((value) => value !== null);
    if (known("after")) fields.push(["after", "Best score", "score"]);
    if (known("added")) fields.push(["added", "Added", "count"]);
    if (columns.steps.words.length) fields.push(["steps", "Mutations", "words"]);
    fields.push(["outcome", "Outcome", "word"]);
  }

  function classOf(name, kind) {
    const less = ["before", "added", "word", "words"].some((one) => one === name || one === kind) ? " less" : "";
    return (["score", "gain", "count"].includes(kind) ? "n" : kind) + less;
  }
  function cellOf([name, , kind], place) {
    const column = columns[name];
    if (kind === "key") {
      const link = el("a", { href: `#row=${encodeURIComponent(keys[place])}` }, keys[place]);
      return el("th", { scope: "row" }, link, keys[place] in marks && el("span", { class: "flag", title: "marked" }, " ✓"));
    }
    if (kind === "text") return el("td", { class: "head" }, heads ? heads[place] : "…");
    if (kind === "word") return el("td", { class: "word" }, outcomeWord(place, column));
    if (kind === "words") return el("td", { class: "words" }, column.lists[place].map((w) => column.words[w]).join(", "));
    const value = column.numbers[place];
    const gain = kind === "gain";
    const lost = gain && value < 0 ? " loss" : gain && value > 0 ? " win" : "";
    const text = kind === "count" ? (value === null ? "–" : (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toLocaleString("en")) : shown(value, 2, gain);
    return el("td", { class: classOf(name, kind) + lost }, text);
  }
  function outcomeWord(place, column) {
    const word = column.words[column.codes[place]] || "–";
    const mark = fields.at(-1)[0].replace("outcome", "");
    return columns[`undecided${mark}`].numbers[place] === 1 && word !== "failed" ? `${word}?` : word;
  }
  function drawTable() {
    headRow.replaceChildren(...fields.map(([name, title, kind]) => {
      const sorted = state.sort === name ? (state.down ? "descending" : "ascending") : null;
      const press = () => {
        state.down = state.sort === name ? !state.down : kind !== "key" && kind !== "text";
        state.sort = name;
        state.page = 0;
        refresh();
      };
      const arrow = sorted ? (state.down ? " ↓" : " ↑") : "";
      return el("th", { scope: "col", "aria-sort": sorted, class: classOf(name, kind) },
        el("button", { type: "button", "data-sort": name, onclick: press }, title, arrow));
    }));
    const from = state.page * PAGE;
    bodyRows.replaceChildren(...order.slice(from, from + PAGE).map((place) => {
      const chosen = place === state.open;
      return el("tr", { class: chosen ? "chosen" : null, "aria-current": chosen ? "true" : null, onclick: () => choose(place) },
        fields.map((field) => cellOf(field, place)));
    }));
    const nPages = Math.ceil(order.length / PAGE);
    const turn = (by) => () => {
      state.page += by;
      drawTable();
    };
    pager.replaceChildren(...(nPages < 2 ? [] : [
      el("button", { type: "button", disabled: state.page === 0, onclick: turn(-1) }, "Previous"),
      el("span", null, `Page ${state.page + 1} of ${nPages}`),
      el("button", { type: "button", disabled: state.page >= nPages - 1, onclick: turn(1) }, "Next"),
    ]));
  }
  const counts = {}; // of rows; marks alone change
  function countOf(name, test) {
    if (name !== "marked" && name in counts) return counts[name];
    let n = 0;
    for (let i = 0; i < nRows; i++) if (test(i)) n++;
    return (counts[name] = n);
  }
  function tools() {
    buttons.replaceChildren(...Object.entries(presets).map(([name, [title, test]]) => {
      const n = countOf(name, test);
      const press = () => {
        state.preset = name;
        state.page = 0;
        refresh();
      };
      return el("button", { type: "button", "data-preset": name, title: hints[name], "aria-pressed": String(state.preset === name), onclick: press },
        title, el("span", { class: "count" }, ` ${n.toLocaleString("en")}`));
    }));
    const n = Object.keys(marks).length;
    exporter.textContent = `Export marks (${n})`;
    exporter.disabled = n === 0;
  }
  function refresh() {
    arrange();
    drawTable();
    tools();
    chips.replaceChildren(...state.filters.map((filter) =>
      el("button", { type: "button", class: "chip", onclick: () => toggle(filter) }, filter.told, el("span", { "aria-label": "take away" }, " ×"))));
    status.textContent = `${order.length.toLocaleString("en")} of ${nRows.toLocaleString("en")} rows` + (state.query ? ` with “${state.query}”` : "");
    document.querySelectorAll(".pick").forEach((pick) => {
      const on = state.filters.some((filter) => filter.told === JSON.parse(pick.dataset.filter).told);
      pick.setAttribute("aria-pressed", String(on));
    });
  }
  function toggle(filter) {
    const before = state.filters.length;
    state.filters = state.filters.filter((one) => one.told !== filter.told);
    if (state.filters.length === before) {
      state.filters = [...state.filters.filter((one) => one.column !== filter.column), filter];
    }
    state.page = 0;
    refresh();
  }
  document.querySelectorAll(".pick").forEach((pick) => {
    const press = () => toggle(JSON.parse(pick.dataset.filter));
    pick.addEventListener("click", press);
    pick.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        press();
      }
    });
  });

  // ---- one row

  function versions(row) {
    const found = [];
    row.runs.forEach((side, run) => {
      if (!side) return;
      const of = two ? `${index.runs[run]}: ` : "";
      const known = side.scores.filter((score) => score !== null);
      const top = known.length ? Math.max(...known) : null;
      const best = top === null ? -1 : side.scores.indexOf(top);
      side.responses.forEach((text, i) => {
        const first = side.original && i === 0;
        const step = side.responses.length === side.mutations.length + 1 ? side.mutations[i - 1] : null;
        const name = first ? "original" : side.original ? (step ? `${step}, step ${i}` : "evolved") : `response ${i + 1}`;
        found.push({ name: of + name, text, score: side.scores[i], spread: side.spread[i], best: i === best, first, run, i });
      });
    });
    return found;
  }
  function pairOf(found) {
    if (two) {
      const kept = index.runs.map((_, run) => found.find((one) => one.run === run && one.best) || found.find((one) => one.run === run));
      if (kept[0] && kept[1]) return kept;
    }
    const left = found.find((one) => one.first) || found[0];
    const later = found.filter((one) => one !== left && one.run === left.run);
    const right = later.find((one) => one.best) || later.filter((one) => one.score !== null).sort((a, b) => b.score - a.score)[0] || later.at(-1) || left;
    return [left, right];
  }
  function spreadOf(one) {
    const labels = Object.entries(one.spread || {});
    if (!labels.length) return typeof one.score === "number" && el("p", { class: "told" }, "The judge's distribution was not measured.");
    const wide = 26, tall = 40;
    const told = labels.map(([label, p]) => `${label}: ${Math.round(100 * p)} %`).join(", ");
    return svg("svg", { viewBox: `0 0 ${labels.length * wide} ${tall + 14}`, class: "spread", role: "img", "aria-label": `Distribution of the score. ${told}` },
      svg("title", null, told),
      labels.map(([label, p], i) => [
        svg("rect", { x: i * wide + 3, y: (tall - tall * p).toFixed(1), width: wide - 6, height: Math.max(0.6, tall * p).toFixed(1), class: one.first ? "bar s0" : "bar s1" }),
        svg("text", { x: i * wide + wide / 2, y: tall + 11, class: "tick mid" }, label),
      ]));
  }
  function sideOf(found, one, title, change) {
    const select = el("select", { "aria-label": title, onchange: (event) => change(found[event.target.selectedIndex]) },
      found.map((other) => el("option", { selected: other === one }, `${other.name}${other.best ? " (kept)" : ""}`)));
    const text = el("p", { class: "response", dir: "auto" }, one.text || "(empty)");
    const score = one.score === null || one.score === undefined ? "not scored" : `score ${shown(one.score)}`;
    return [el("div", { class: "side" }, el("div", { class: "sidehead" }, select, el("span", { class: "score" }, score)), spreadOf(one), text), text];
  }
  function sidesOf(found) {
    const holder = el("div", { class: "sides" });
    const draw = (left, right) => {
      const [a, textA] = sideOf(found, left, "Left", (one) => draw(one, right));
      const [b, textB] = sideOf(found, right, "Right", (one) => draw(left, one));
      if (left !== right && left.text && right.text) showDiff(textA, textB, left.text, right.text);
      holder.replaceChildren(a, b);
    };
    draw(...pairOf(found));
    return holder;
  }
  function stepsOf(row) {
    return row.runs.map((side, run) => {
      if (!side || !side.calls.length) return null;
      const asked = side.calls.filter((call) => call.mutation);
      const offset = asked.length - side.mutations.length - (side.short ? 1 : 0);
      let step = -Math.max(0, offset);
      const items = side.calls.map((call) => {
        const place = call.mutation ? step++ : null;
        const gain = place === null || place < 0 || side.responses.length !== side.mutations.length + 1 ? null
          : side.scores[place + 1] === null || side.scores[place] === null ? null : side.scores[place + 1] - side.scores[place];
        const facts = [
          `${shown(call.tokens[0], 0)} tokens in, ${shown(call.tokens[1], 0)} out`,
          call.attempts > 1 && `asked ${call.attempts} times`,
          call.finish_reason && call.finish_reason !== "stop" && `ended by ${call.finish_reason}`,
          call.label_mass && `least probability on scores ${shown(Math.min(...call.label_mass))}`,
        ].filter(Boolean).join("; ");
        const title = call.mutation ? `Evolve: ${call.mutation}` : "Score";
        const prompt = place !== null && place >= 0 && side.prompts ? side.prompts[place] : undefined;
        return el("li", null, el("strong", null, title), gain !== null && el("span", { class: gain < 0 ? "loss" : "win" }, ` ${shown(gain, 2, true)}`),
          el("span", { class: "told" }, ` ${facts}`), call.mutation && promptOf(row, side, place, prompt));
      });
      return [two && el("h4", null, index.runs[run]), el("ol", { class: "steps" }, items)];
    });
  }
  function promptOf(row, side, place, number) {
    if (number === undefined || number === null) {
      return el("p", { class: "told" }, "Its prompt is not in the journal.");
    }
    const texts = { "\ue000": row.instruction, "\ue001": side.responses[place] };
    const own = Object.keys(texts).some((sign) => Object.values(texts).some((text) => text.includes(sign)));
    const messages = index.frames[number].map(([role, content]) => {
      const text = own ? content : content.split(/([\ue000\ue001])/).map((part) => texts[part] ?? part).join("");
      return [el("span", { class: "role" }, role), el("pre", { dir: "auto" }, text)];
    });
    return el("details", null, el("summary", null, "Prompt"), messages);
  }
  function markForm(row, place, found) {
    const key = keys[place];
    const responses = [...new Set(found.map((one) => one.text))];
    const mark = { ...(marks[key] || {}), id: row.id, instruction: row.instruction, responses };
    const save = () => keepMark(key, { ...mark });
    const nameOf = (text) => found.filter((one) => one.text === text).map((one) => one.name).join(" = ");
    const group = `best-${place}`;
    const choice = (title, value, on) => el("label", null, el("input", { type: "radio", name: group, value, checked: on,
      onchange: () => {
        delete mark.best;
        mark.tie = value === "tie";
        if (/^\d+$/.test(value)) mark.best = Number(value);
        save();
      } }), ` ${title}`);
    const scores = responses.map((_, i) => (mark.scores || [])[i] ?? null);
    const numbers = responses.map((text, i) => el("label", null, `${nameOf(text)} `, el("input", { type: "number", step: "any", value: scores[i],
      oninput: (event) => {
        scores[i] = event.target.value === "" ? null : Number(event.target.value);
        mark.scores = scores;
        save();
      } })));
    return el("fieldset", { class: "mark" }, el("legend", null, "Your mark"),
      responses.length > 1 && el("div", { class: "line", role: "radiogroup", "aria-label": "Which is better?" }, el("span", null, "Better: "),
        responses.map((text, i) => choice(nameOf(text), String(i), mark.best === i)),
        choice("equally good", "tie", mark.tie === true), choice("not said", "none", mark.best === undefined && !mark.tie)),
      el("div", { class: "line" }, el("span", null, "Scores, of all or none: "), numbers),
      el("label", { class: "line" }, el("input", { type: "checkbox", checked: mark.bad === true, onchange: (event) => {
        mark.bad = event.target.checked;
        save();
      } }), " This row is bad"),
      el("label", { class: "line" }, "Note", el("textarea", { rows: 2, oninput: (event) => {
        mark.note = event.target.value;
        save();
      } }, mark.note || "")));
  }
  let turnOf = 0;
  async function choose(place, { scroll = true } = {}) {
    const turn = ++turnOf;
    state.open = place;
    const at = order.indexOf(place);
    if (at >= 0) state.page = Math.floor(at / PAGE);
    drawTable();
    const hash = `#row=${encodeURIComponent(keys[place])}`;
    if (location.hash !== hash) history.replaceState(null, "", hash);
    const row = await rowAt(place);
    if (turn !== turnOf) return;
    const found = versions(row);
    const troubles = row.runs.flatMap((side, run) => {
      if (!side) return [`${index.runs[run]} does not have this row.`];
      const of = two ? `${index.runs[run]}: ` : "";
      return [side.error && `${of}Failed. ${side.error}`, side.short && `${of}A later evolution failed. ${side.short}`].filter(Boolean);
    });
    const others = Object.entries(row.others || {});
    detail.hidden = false;
    detail.replaceChildren(
      el("div", { class: "bar-top" }, el("h3", null, el("a", { href: hash }, keys[place])),
        el("button", { type: "button", "data-move": "-1", title: "Previous row (k)", onclick: () => move(-1) }, "↑"),
        el("button", { type: "button", "data-move": "1", title: "Next row (j)", onclick: () => move(1) }, "↓"),
        el("button", { type: "button", title: "Close (Escape)", onclick: close }, "Close")),
      el("p", { class: "instruction", dir: "auto" }, typeof row.instruction === "string" ? row.instruction : JSON.stringify(row.instruction)),
      ...troubles.map((text) => el("p", { class: "trouble" }, text)),
      found.length ? sidesOf(found) : "",
      el("div", { class: "after" }, ...stepsOf(row).flat(9).filter(Boolean)),
      others.length ? el("details", null, el("summary", null, "Other columns"), el("dl", { class: "others" },
        others.map(([name, value]) => [el("dt", null, name), el("dd", null, typeof value === "string" ? value : JSON.stringify(value))]))) : "",
      found.length ? markForm(row, place, found) : "",
    );
    const chosen = bodyRows.querySelector(".chosen");
    if (chosen && scroll) chosen.scrollIntoView({ block: "nearest" });
    if (scroll && matchMedia("(max-width: 1099px)").matches) detail.scrollIntoView({ block: "start" });
  }
  function move(by) {
    if (!order.length) return;
    const at = state.open === null ? -1 : order.indexOf(state.open);
    const next = at < 0 ? 0 : Math.max(0, Math.min(order.length - 1, at + by));
    choose(order[next]);
  }
  function close() {
    state.open = null;
    turnOf++;
    detail.hidden = true;
    history.replaceState(null, "", "#rows");
    drawTable();
  }
  function follow() {
    const found = /^#row=(.*)$/.exec(location.hash);
    if (!found) return;
    const key = decodeURIComponent(found[1]);
    if (!placeOf.has(key)) {
      status.textContent = `There is no row ${key} here.`;
      return;
    }
    const place = placeOf.get(key);
    if (place !== state.open) choose(place).then(() => section.scrollIntoView());
  }
  addEventListener("hashchange", follow);
  addEventListener("keydown", (event) => {
    const typing = event.target.matches("textarea, select, input:not([type=radio]):not([type=checkbox])");
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      else if (state.open !== null) close();
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "/") {
      event.preventDefault();
      box.focus();
    }
  });

  refresh();
  unpacked("heads").then((found) => {
    heads = found;
    drawTable();
    requestAnimationFrame(() => performance.mark("rows"));
    return whole;
  }).then(() => {
    follow();
    document.documentElement.dataset.ready = "yes";
  });
})();
