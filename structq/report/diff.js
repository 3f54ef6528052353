"use strict";
// Words that differ between two texts, marked in both; text reaches the page as text nodes alone.
const showDiff = (() => {
  const MOST_EDITS = 3000;

  function tokens(text) {
    return text.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]|[\p{L}\p{N}\p{M}_]+|\s+|[^]/gu) || [];
  }
  // Myers' greedy way, with the path kept for each number of edits; null where there are too many.
  function edits(a, b) {
    const most = Math.min(a.length + b.length, MOST_EDITS);
    let ends = new Int32Array(2 * most + 2);
    const trail = [];
    for (let d = 0; d <= most; d++) {
      trail.push(ends.slice(most - d, most + d + 1));
      for (let k = -d; k <= d; k += 2) {
        const down = k === -d || (k !== d && ends[most + k - 1] < ends[most + k + 1]);
        let x = down ? ends[most + k + 1] : ends[most + k - 1] + 1;
        while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
        ends[most + k] = x;
        if (x >= a.length && x - k >= b.length) return walked(trail, a.length, b.length);
      }
    }
    return null;
  }
  function walked(trail, x, y) {
    const found = [];
    for (let d = trail.length - 1; d > 0; d--) {
      const ends = trail[d], k = x - y;
      const at = (i) => ends[i + d] ?? -1;
      const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
      const edited = down ? at(k + 1) : at(k - 1) + 1; // how far the first text was read then
      while (x > edited) {
        found.push([0, --x]);
        y--;
      }
      if (down) found.push([1, --y]);
      else found.push([-1, --x]);
    }
    while (x > 0) found.push([0, --x]);
    return found.reverse();
  }
  function showDiff(left, right, before, after) {
    const a = tokens(before), b = tokens(after);
    let start = 0, end = 0;
    while (start < a.length && start < b.length && a[start] === b[start]) start++;
    while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
    const innerA = a.slice(start, a.length - end), innerB = b.slice(start, b.length - end);
    const found = edits(innerA, innerB) || [...innerA.map((_, i) => [-1, i]), ...innerB.map((_, i) => [1, i])];
    const gone = [], come = [];
    const add = (to, kind, text) => {
      if (to.length && to.at(-1)[0] === kind) to.at(-1)[1] += text;
      else to.push([kind, text]);
    };
    const both = (text) => {
      add(gone, "", text);
      add(come, "", text);
    };
    if (start) both(a.slice(0, start).join(""));
    for (const [kind, place] of found) {
      if (kind === 0) both(innerA[place]);
      else if (kind < 0) add(gone, "del", innerA[place]);
      else add(come, "ins", innerB[place]);
    }
    if (end) both(a.slice(a.length - end).join(""));
    const put = (node, parts) => node.replaceChildren(...parts.map(([kind, text]) => {
      if (!kind) return document.createTextNode(text);
      const part = document.createElement(kind);
      part.textContent = text;
      return part;
    }));
    put(left, gone);
    put(right, come);
  }
  return showDiff;
})();
