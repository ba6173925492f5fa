// Charts, each an SVG that says in words what it shows, with its values under the pointer.
function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...nodes(children));
  return made;
}

const picture = (height, says, ...parts) => svg("svg", {viewBox: `0 0 460 ${height}`, role: "img", "aria-label": says}, parts);
const text = (x, y, said, anchor = "start") => svg("text", {x, y, "text-anchor": anchor}, said);
const line = (kind, x1, y1, x2, y2) => svg("line", {class: kind, x1, y1, x2, y2});
const dot = (kind, cx, cy, r = 4) => svg("circle", {class: kind, cx, cy, r});
const short = (said, most = 22) => said.length > most ? said.slice(0, most - 1) + "…" : said;
const tidy = number => String(Number(number.toPrecision(3)));
const whole = share => percent(share, 0);

/** Lines over x: `series` is [[name, kind of line, [[x, y], …]], …], `top` the largest y, or that of the points. */
function lines(series, xName, says, show = whole, top = 1) {
  const [left, right, low, high] = [56, 446, 160, 14], all = series.flatMap(each => each[2]);
  const xs = [...new Set(all.map(([x]) => x))].sort((a, b) => a - b), [first, last] = [xs[0], xs.at(-1)];
  const most = top ?? (Math.max(...all.map(([, y]) => y)) || 1);
  const X = x => left + (right - left) * (last > first ? (x - first) / (last - first) : .5), Y = y => low - (low - high) * Math.min(1, y / most);
  const told = x => `${xName} ${count(x)}: ` + series.flatMap(([name, , points]) => points.filter(([at]) => at === x).map(([, y]) => `${name} ${show(y)}`)).join(", ");
  return picture(190, says, [0, .5, 1].map(share => [line("g", left, Y(share * most), right, Y(share * most)), text(left - 8, Y(share * most) + 4, show(share * most), "end")]),
    series.map(([name, kind, points], i) => [svg("polyline", {class: kind, points: points.map(([x, y]) => `${X(x)},${Y(y)}`).join(" ")}), points.length < 12 && points.map(([x, y]) => dot("dot", X(x), Y(y))),
      series.length > 1 && [line(kind, 170 + 110 * i, 178, 190 + 110 * i, 178), text(196 + 110 * i, 182, name)]]),
    text(left, 182, `${xName} ${tidy(first)}`), text(right, 182, tidy(last), "end"),
    xs.map((x, i) => svg("rect", {class: "hot", x: X(i ? (x + xs[i - 1]) / 2 : x), y: 8, width: Math.max(2, X(i + 1 < xs.length ? (x + xs[i + 1]) / 2 : x) - X(i ? (x + xs[i - 1]) / 2 : x)), height: 152}, svg("title", {}, told(x)))));
}

/** Before and after: `rows` are [name, before, after, [low, high] or nothing]; low and high are after's interval. */
function dumbbells(rows, says) {
  const X = share => 160 + 240 * Math.min(1, Math.max(0, share)), bottom = 24 * rows.length;
  return picture(bottom + 22, says, [0, .5, 1].map(share => [line("g", X(share), 0, X(share), bottom), text(X(share), bottom + 16, whole(share), "middle")]),
    rows.map(([name, before, after, interval], i) => {
      const y = 24 * i + 12;
      return svg("g", {}, svg("title", {}, `${name}: ${percent(before)}, now ${percent(after)}` + (interval ? `, between ${interval.map(share => percent(share)).join(" and ")}` : "")), svg("rect", {class: "hot", y: 24 * i, width: 460, height: 24}),
        text(0, y + 4, short(name)), interval && line("w", X(interval[0]), y, X(interval[1]), y), line("a", X(before), y, X(after), y), dot("before", X(before), y), dot("dot", X(after), y, 5), text(460, y + 4, whole(after), "end"));
    }));
}
