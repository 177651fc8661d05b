(() => {
  const at = id => document.getElementById(id);
  const make = (tag, parent, properties) => { const made = Object.assign(document.createElement(tag), properties); parent.append(made); return made };
  const told = id => JSON.parse(at(id).textContent);

  function theme() {
    const button = at("theme"), modes = ["", "light", "dark"], names = ["as the system", "light", "dark"];
    let mode = 0;
    button.hidden = false;
    button.addEventListener("click", () => {
      mode = (mode + 1) % modes.length;
      document.documentElement.dataset.theme = modes[mode];
      button.textContent = "Colours: " + names[mode];
    });
  }

  function boards() {
    const choice = at("board"), films = told("films");
    if (!choice) return;
    let player;
    const show = () => {
      player?.stop();
      player = playFilm(at("player"), films[choice.value], at("player"), course(films[choice.value]));
    };
    choice.addEventListener("change", show);
    show();
  }

  /* How a board goes, drawn beside it: open and clashing cells over the steps. Returns what marks the frame that is shown. */
  function course(film) {
    const belief = Uint8Array.from(atob(film.belief), letter => letter.charCodeAt(0)), size = film.symbols.length, cells = film.row.length;
    const open = film.captions.map((_, frame) => film.scored.filter((scored, t) => {
      const from = (frame * cells + t) * size;
      return scored && Math.max(...belief.subarray(from, from + size)) < film.sure;
    }).length);
    const clashing = film.clash.map(its => its.length), last = open.length - 1, most = Math.max(...open, ...clashing, 1);
    const x = frame => 8 + 404 * frame / last, y = count => 150 - 130 * count / most;
    const line = (counts, colour) => `<path class="line" style="color:${colour}" d="M${counts.map((count, frame) => `${x(frame)} ${y(count)}`).join("L")}"/>`;
    const right = film.right.indexOf(true), about = film.about;
    at("course").innerHTML = `<h3>What happens</h3><svg class="chart" viewBox="0 0 420 185" role="img"
      aria-label="Open cells from ${open[0]} to ${open[last]}, at most ${Math.max(...clashing)} in conflict, over ${last} steps">
      <path class="axis" d="M8 150H412"/>${right < 0 ? "" : `<path class="dashed" d="M${x(right)} 10V150"/>`}${line(open, "var(--belief)")}${line(clashing, "var(--wrong)")}
      <path id="now" class="axis" d=""/><text class="soft" x="14" y="16">${most} cells</text><text class="soft" x="8" y="168">step 0</text>
      <text class="soft" x="412" y="168" text-anchor="end">${last}</text></svg>
      <p><span style="color:var(--belief)">━</span> cells still open <span style="color:var(--wrong)">━</span> cells in conflict
      ${right < 0 ? "" : "<span>┆ first right reply</span>"}</p><dl></dl>`;
    const facts = {Model: `${about.model}, ${about.params.toLocaleString("en")} parameters, optimiser step ${about.step}`,
      Reply: film.right[last] ? `right from step ${film.right.lastIndexOf(false) + 1} to the end` : right < 0 ? "never right" : `right at step ${right}, and left again`,
      Blanks: film.scored.filter(Boolean).length};
    for (const [name, fact] of Object.entries(facts)) {
      make("dt", at("course").lastChild, {textContent: name});
      make("dd", at("course").lastChild, {textContent: fact});
    }
    return frame => at("now").setAttribute("d", `M${x(frame)} 10V150`);
  }

  function contents() {
    const links = new Map([...document.querySelectorAll(".contents a")].map(link => [link.hash.slice(1), link]));
    const seen = new IntersectionObserver(entries => entries.forEach(entry => {
      if (!entry.isIntersecting) return;
      links.forEach((link, name) => name === entry.target.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current"));
    }), {rootMargin: "-20% 0px -70% 0px"});
    document.querySelectorAll("main > section").forEach(section => seen.observe(section));
  }

  function rows() {
    const {words, columns} = told("table"), names = Object.keys(columns), count = columns[names[0]].length, step = 50;
    const value = (name, row) => words[name] ? words[name][columns[name][row]] : columns[name][row];
    const spoken = ["problems", "model", "arch", "mode", "slice", "commit"];
    const line = Array.from({length: count}, (_, row) => spoken.map(name => value(name, row)).join(" ").toLowerCase());
    const all = "all of them", filters = new Map(), form = at("filters");
    let limit = step, sorted = "", down = false;

    for (const name of ["problems", "model", "arch", "split", "slice"]) {
      const select = make("select", make("label", form, {textContent: name}), {name});
      [all, ...words[name] ?? []].forEach(word => make("option", select, {textContent: word, value: word}));
      filters.set(name, select);
    }
    if ((words.slice ?? []).includes("whole")) filters.get("slice").value = "whole";
    const search = make("input", make("label", form, {textContent: "words"}), {type: "search", name: "words"});
    const clear = make("button", form, {type: "button", textContent: "Clear filters"});

    function chosen() {
      const asked = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const left = [...filters].filter(([, select]) => select.value !== all).map(([name, select]) => [name, words[name].indexOf(select.value)]);
      return Array.from({length: count}, (_, row) => row)
        .filter(row => left.every(([name, word]) => columns[name][row] === word) && asked.every(word => line[row].includes(word)));
    }

    function ordered(found) {
      if (!sorted) return found;
      const sign = down ? -1 : 1;
      return found.sort((a, b) => {
        const [one, other] = [value(sorted, a), value(sorted, b)];
        if (one === null || other === null) return (one === null) - (other === null);
        return sign * (typeof one === "string" ? one.localeCompare(other) : one - other);
      });
    }

    function shown(name, row) {
      const found = value(name, row);
      if (found === null) return "–";
      if (["score", "low", "high"].includes(name)) return found.toFixed(4);
      if (name.endsWith("FLOPs") || name.startsWith("FLOPs")) return found.toExponential(2);
      return typeof found === "number" && name !== "seed" ? found.toLocaleString("en") : String(found);
    }

    function draw() {
      const found = ordered(chosen()), body = at("every").tBodies[0];
      body.replaceChildren(...found.slice(0, limit).map(row => {
        const made = document.createElement("tr");
        names.forEach((name, place) => make(place ? "td" : "th", made, {textContent: shown(name, row), className: words[name] ? "" : "number"}));
        made.firstChild.scope = "row";
        return made;
      }));
      at("count").textContent = `${found.length.toLocaleString("en")} of ${count.toLocaleString("en")} rows` + (found.length > limit ? `, the first ${limit} shown` : "");
      at("more").hidden = found.length <= limit;
    }

    function again() { limit = step; draw() }
    const head = at("every").tHead.insertRow();
    names.forEach(name => {
      const cell = make("th", head, {scope: "col", className: words[name] ? "" : "number"});
      make("button", cell, {type: "button", textContent: name}).addEventListener("click", () => {
        down = sorted === name && !down;
        sorted = name;
        [...head.cells].forEach(other => other.removeAttribute("aria-sort"));
        cell.setAttribute("aria-sort", down ? "descending" : "ascending");
        again();
      });
    });
    form.addEventListener("submit", event => event.preventDefault());
    form.addEventListener("input", again);
    clear.addEventListener("click", () => { filters.forEach(select => { select.value = all }); search.value = ""; again() });
    at("more").addEventListener("click", () => { limit += 4 * step; draw() });
    draw();
  }

  theme();
  boards();
  contents();
  rows();
})();
