// Every text on a page whose contrast with what lies behind it is below 4.5: https://www.w3.org/TR/WCAG22/#contrast-minimum
() => {
  const numbers = (text) => {
    const found = text.match(/[\d.]+/g).map(Number);
    return text.startsWith("color(srgb") ? [...found.slice(0, 3).map((x) => 255 * x), ...found.slice(3)] : found;
  };
  const linear = (x) => (x / 255 <= 0.03928 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ratio = (one, other) => {
    const [less, more] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (more + 0.05) / (less + 0.05);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, opacity = 1] = numbers(getComputedStyle(at).backgroundColor);
      if (opacity > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const tint = ground(document.querySelector("#nav [aria-current]"));
  const says = (element) =>
    element.matches("input, textarea, select") ||
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  const shown = (element) =>
    element.checkVisibility({ opacityProperty: true }) && !element.closest(":disabled, .sr, option, title");
  return [...document.querySelectorAll("body *")]
    .filter((element) => says(element) && shown(element))
    .flatMap((element) => {
      const style = getComputedStyle(element);
      const paint = numbers(element.closest("svg") ? style.fill : style.color);
      const grounds = [ground(element), ...(element.closest(".row") ? [tint] : [])]; // a bar may lie behind a row
      const least = Math.min(...grounds.map((each) => ratio(paint, each)));
      return least < 4.5 ? [`${element.outerHTML.slice(0, 80)} ${least.toFixed(2)}`] : [];
    });
}
