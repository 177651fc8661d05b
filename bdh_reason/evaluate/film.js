"use strict";
/* Plays a film, as evaluate/page.py tells it, inside an element; `keys` is what the arrow keys, Home, End and space are heard on, `shown` is told every frame. */
function playFilm(root, film, keys, shown = () => {}) {
  const belief = Uint8Array.from(atob(film.belief), letter => letter.charCodeAt(0));
  const symbols = [...film.symbols], size = symbols.length, positions = film.row.length, end = film.captions.length - 1;
  const columns = Math.max(...film.column) + 1, rows = Math.max(...film.row) + 1;
  const cells = [], heard = new AbortController();
  let frame = 0, timer = 0;

  function element(tag, parent, properties) {
    const made = Object.assign(document.createElement(tag), properties);
    parent.append(made);
    return made;
  }

  function board() {
    const table = element("table", root, {ariaLabel: film.title}), region = new Map();
    table.style.setProperty("--columns", columns);
    table.style.setProperty("--across", Math.ceil(Math.sqrt(size)));
    const grid = Array.from({length: rows}, () => { const row = table.insertRow(); return Array.from({length: columns}, () => row.insertCell()) });
    film.row.forEach((row, t) => region.set(row + "," + film.column[t], film.region[t]));
    film.row.forEach((row, t) => {
      const column = film.column[t], cell = grid[row][column];
      const differs = (r, c) => region.has(r + "," + c) && region.get(r + "," + c) !== film.region[t];
      cell.classList.toggle("given", !film.scored[t]);
      cell.classList.toggle("top", differs(row - 1, column));
      cell.classList.toggle("left", differs(row, column - 1));
      element("b", cell, {ariaHidden: "true"});
      const small = element("span", cell, {ariaHidden: "true"});
      symbols.forEach(symbol => element("i", small, {textContent: symbol}));
      cells.push(cell);
    });
  }

  root.replaceChildren();
  root.classList.add("film");
  board();
  const state = element("div", root, {className: "film-state", ariaHidden: "true"});
  const step = element("span", state, {}), verdict = element("span", state, {});
  const spoken = element("div", root, {className: "spoken", ariaLive: "polite", role: "status"});
  const place = element("input", root, {type: "range", min: 0, max: end, value: 0, ariaLabel: "Step"});
  const nav = element("nav", root, {ariaLabel: "Steps"});
  const button = (text, act) => element("button", nav, {type: "button", textContent: text}).addEventListener("click", act);
  button("First", () => go(0));
  button("Back", () => go(frame - 1));
  button("Play", toggle);
  button("Next", () => go(frame + 1));
  button("Last", () => go(end));
  const play = nav.children[2];

  function draw() {
    const clashing = new Set(film.clash[frame]);
    cells.forEach((cell, t) => {
      const [large, small] = cell.children, from = (frame * positions + t) * size, values = belief.subarray(from, from + size);
      const best = values.indexOf(Math.max(...values)), sure = !film.scored[t] || values[best] >= film.sure;
      const symbol = film.scored[t] ? symbols[best] : film.prompt[t];
      large.textContent = sure ? symbol : "";
      small.style.display = sure ? "none" : "";
      if (!sure) values.forEach((value, s) => { small.children[s].style.opacity = Math.sqrt(value / 255).toFixed(2) });
      cell.classList.toggle("clash", clashing.has(t));
      const open = symbols.filter((_, s) => values[s] >= 26).join(" or ");
      const said = !film.scored[t] ? "given " + symbol : sure ? symbol : "open, " + (open || "anything");
      cell.ariaLabel = said + (clashing.has(t) ? ", in conflict" : "");
    });
    [step.textContent, verdict.textContent] = film.captions[frame];
    verdict.className = frame < end ? "" : film.right[frame] ? "right" : "wrong";
    place.value = frame;
    place.ariaValueText = film.captions[frame].join(", ");
    play.textContent = timer ? "Pause" : "Play";
    root.classList.toggle("still", !timer);
    if (!timer || frame === end) spoken.textContent = film.captions[frame].join(": ");
    shown(frame);
  }

  function pause() { clearTimeout(timer); timer = 0 }
  function go(to) { pause(); frame = Math.min(Math.max(to, 0), end); draw() }
  function tick() {
    if (frame < end) frame += 1;
    timer = frame < end ? setTimeout(tick, 160) : 0;
    draw();
  }
  function toggle() {
    if (timer) { go(frame); return }
    if (frame === end) frame = 0;
    timer = setTimeout(tick, 500);
    draw();
  }

  place.addEventListener("input", () => go(Number(place.value)));
  keys.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === place) return;
    const act = {ArrowLeft: () => go(frame - 1), ArrowRight: () => go(frame + 1), Home: () => go(0), End: () => go(end)}[event.key];
    const space = event.key === " " && event.target.tagName !== "BUTTON";
    if (act || space) { event.preventDefault(); (act || toggle)() }
  }, {signal: heard.signal});
  draw();
  return {toggle, stop() { pause(); heard.abort() }};
}
