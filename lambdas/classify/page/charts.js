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

const up = share => 160 - 146 * Math.min(1, share);
const scale = (show, most = 1) => [0, .5, 1].map(share => [line("g", 56, up(share), 446, up(share)), text(48, up(share) + 4, show(share * most), "end")]);

/** A line over x: `points` are [[x, y], …], `top` the largest y, or theirs. */
function lines(points, xName, says, show = whole, top = 1) {
  const xs = points.map(([x]) => x), [first, last] = [Math.min(...xs), Math.max(...xs)], most = top ?? (Math.max(...points.map(([, y]) => y)) || 1);
  const X = x => 56 + 390 * (last > first ? (x - first) / (last - first) : .5), Y = y => up(y / most), wide = 390 / xs.length;
  return picture(190, says, scale(show, most),
    svg("polyline", {class: "a", points: points.map(([x, y]) => `${X(x)},${Y(y)}`).join(" ")}), points.length < 12 && points.map(([x, y]) => dot("dot", X(x), Y(y))),
    text(56, 182, `${xName} ${tidy(first)}`), text(446, 182, tidy(last), "end"), points.map(([x, y]) => hot(X(x) - wide / 2, 8, wide, 152, `${xName} ${count(x)}: ${show(y)}`)));
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

/** What each mixture is right about of the new, over what it may have lost of the old: `mixtures` are points of a version's frontier, `chosen` the published share, `limit` what may be lost, or nothing; it is left out where it would press them together. */
function frontier(mixtures, chosen, limit, says) {
  const lost = mixtures.map(each => each.mean_drop_at_most), isNear = isKnown(limit) && limit <= 3 * Math.max(...lost, .01), ends = [0, .01, ...lost, ...isNear ? [limit] : []], least = Math.min(...ends), most = Math.max(...ends), points = share => tidy(100 * share) + " points";
  const X = share => 76 + 350 * (share - least) / (most - least), isChosen = each => each.alpha === chosen;
  return picture(190, says, scale(whole), isNear && [line("w", X(limit), 14, X(limit), 160), text(X(limit), 11, "limit", "middle")],
    svg("polyline", {class: "a", points: mixtures.map(each => `${X(each.mean_drop_at_most)},${up(each.new)}`).join(" ")}),
    mixtures.toSorted((a, b) => isChosen(a) - isChosen(b)).map(each => {
      const x = X(each.mean_drop_at_most), y = up(each.new);
      return [dot(isChosen(each) ? "dot" : "before", x, y, isChosen(each) ? 6 : 4), isChosen(each) && text(x, y + (each.new > .2 ? 22 : -12), `published: ${whole(chosen)}`, x > 330 ? "end" : "start"),
        hot(x - 9, y - 9, 18, 18, `${whole(each.alpha)} fine-tuned: ${percent(each.new)} of the new, at most ${points(each.mean_drop_at_most)} lost` + (isKnown(each.worst_drop_at_most) && each.worst_task ? `, ${points(each.worst_drop_at_most)} at ${each.worst_task}` : ""))];
    }), text(76, 182, `lost at most: ${points(least)}`), text(426, 182, points(most), "end"));
}
