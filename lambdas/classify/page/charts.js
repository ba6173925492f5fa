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
const hot = (x, y, width, height, says) => svg("rect", {class: "hot", x, y, width, height}, svg("title", {}, says));
const tidy = number => String(Number(number.toPrecision(3)));

/** A line over steps: `points` are [[step, y], …], `top` the largest y, or theirs. */
function lines(points, says, show, top) {
  const [left, right, low, high] = [56, 446, 160, 14], xs = points.map(([x]) => x), [first, last] = [Math.min(...xs), Math.max(...xs)], most = top ?? (Math.max(...points.map(([, y]) => y)) || 1);
  const X = x => left + (right - left) * (last > first ? (x - first) / (last - first) : .5), Y = y => low - (low - high) * Math.min(1, y / most), wide = (right - left) / xs.length;
  return picture(190, says, [0, .5, 1].map(share => [line("g", left, Y(share * most), right, Y(share * most)), text(left - 8, Y(share * most) + 4, show(share * most), "end")]),
    svg("polyline", {class: "a", points: points.map(([x, y]) => `${X(x)},${Y(y)}`).join(" ")}), points.length < 12 && points.map(([x, y]) => dot("dot", X(x), Y(y))),
    text(left, 182, `step ${tidy(first)}`), text(right, 182, tidy(last), "end"), points.map(([x, y]) => hot(X(x) - wide / 2, 8, wide, 152, `step ${count(x)}: ${show(y)}`)));
}

/** Before and after: `rows` are [name, before, after, [low, high] or nothing]; low and high are after's interval. */
function dumbbells(rows, says) {
  const X = share => 160 + 240 * Math.min(1, Math.max(0, share)), bottom = 24 * rows.length;
  return picture(bottom + 22, says, [0, .5, 1].map(share => [line("g", X(share), 0, X(share), bottom), text(X(share), bottom + 16, whole(share), "middle")]),
    rows.map(([name, before, after, interval], i) => {
      const y = 24 * i + 12;
      return [text(0, y + 4, short(name)), interval && line("w", X(interval[0]), y, X(interval[1]), y), line("a", X(before), y, X(after), y), dot("before", X(before), y), dot("dot", X(after), y, 5), text(460, y + 4, whole(after), "end"),
        hot(0, 24 * i, 460, 24, `${name}: ${percent(before)}, now ${percent(after)}` + (interval ? `, between ${interval.map(share => percent(share)).join(" and ")}` : ""))];
    }));
}
