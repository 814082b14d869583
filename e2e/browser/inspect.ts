// What is wrong with the look of a page.

export interface Inspected {
  problems: string[];
  /** The number of texts whose contrast was checked, and of those whose background is not one colour. */
  texts: number;
  unchecked: number;
}

/** Runs in the page, so it uses nothing from outside of it. */
export function inspect(print: boolean): Inspected {
  const LOWEST_CONTRAST = 4.5;
  const SMALLEST_PIXELS = 11;
  /** Of rounding. */
  const TOLERANCE = 0.05;
  const TOLERANCE_PIXELS = 1;

  /** Red, green and blue from 0 to 255, and alpha from 0 to 1. */
  type Colour = readonly [number, number, number, number];
  /** What is behind the content of an element; no colour if it is not one colour. */
  interface Surface {
    colour: Colour | undefined;
    opacity: number;
    hidden: boolean;
    clips: boolean;
  }
  interface Sample {
    element: Element;
    style: CSSStyleDeclaration;
    words: string;
    right: number;
  }

  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const colours = new Map<string, Colour>();
  function colour(css: string): Colour {
    let known = colours.get(css);
    if (!known && context) {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = css;
      context.fillRect(0, 0, 1, 1);
      const [red = 0, green = 0, blue = 0, alpha = 0] = context.getImageData(0, 0, 1, 1).data;
      known = [red, green, blue, alpha / 255];
      colours.set(css, known);
    }
    return known ?? [0, 0, 0, 0];
  }
  function over([r, g, b, alpha]: Colour, [r0, g0, b0]: Colour): Colour {
    const mix = (top: number, bottom: number) => top * alpha + bottom * (1 - alpha);
    return [mix(r, r0), mix(g, g0), mix(b, b0), 1];
  }
  const faded = ([r, g, b, alpha]: Colour, opacity: number): Colour => [r, g, b, alpha * opacity];
  /** The formulas of WCAG 2.2. */
  function luminance([r, g, b]: Colour): number {
    const linear = (value: number) => (value <= 10.31475 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  }
  function contrast(one: Colour, other: Colour): number {
    const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }
  function hex(shown: Colour): string {
    const digits = shown.slice(0, 3).map((value) => Math.round(value).toString(16).padStart(2, '0'));
    return `#${digits.join('')}`;
  }

  /** The colour of a page that sets none, which depends on its color-scheme. */
  function pageColour(): Colour {
    const probe = document.createElement('div');
    probe.style.backgroundColor = 'Canvas';
    document.documentElement.append(probe);
    const found = colour(getComputedStyle(probe).backgroundColor);
    probe.remove();
    return found;
  }
  const page: Surface = { colour: pageColour(), opacity: 1, hidden: false, clips: false };
  const surfaces = new Map<Element, Surface>();
  function surface(element: Element | null): Surface {
    if (!element) return page;
    let known = surfaces.get(element);
    if (!known) {
      const around = surface(element.parentElement);
      const style = getComputedStyle(element);
      const { width, height } = element.getBoundingClientRect();
      const clips = style.overflowX !== 'visible' && element !== document.body && element !== document.documentElement;
      known = {
        colour: painted(style, around.colour),
        opacity: around.opacity * Number(style.opacity),
        // Text for screen readers only.
        hidden: around.hidden || (clips && width <= 1 && height <= 1),
        clips: around.clips || clips,
      };
      surfaces.set(element, known);
    }
    return known;
  }
  function painted(style: CSSStyleDeclaration, below: Colour | undefined): Colour | undefined {
    const own = colour(style.backgroundColor);
    if (style.backgroundImage !== 'none') return undefined;
    return own[3] === 1 ? own : below && over(own, below);
  }

  interface Shape {
    shape: Element;
    box: DOMRect;
    fill: string;
    opacity: number;
  }
  const shapes = new Map<Element, Shape[]>();
  /** The filled shapes of an SVG, in the order in which they are painted. */
  function shapesOf(svg: Element): Shape[] {
    let known = shapes.get(svg);
    if (!known) {
      known = [...svg.querySelectorAll('rect, path, circle, ellipse, polygon')]
        .filter((shape) => !shape.closest('defs, pattern, clipPath, mask, symbol, marker') && shape.checkVisibility())
        .map((shape) => {
          const { fill, fillOpacity } = getComputedStyle(shape);
          const opacity = surface(shape).opacity * Number(fillOpacity);
          return { shape, box: shape.getBoundingClientRect(), fill, opacity };
        })
        .filter(({ fill }) => fill !== 'none');
      shapes.set(svg, known);
    }
    return known;
  }
  function behind({ element }: Sample): Colour | undefined {
    const svg = element instanceof SVGElement ? element.closest('svg') : null;
    let found = surface(element).colour;
    if (!svg) return found;
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    for (const { shape, box, fill, opacity } of shapesOf(svg)) {
      if (!(shape.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING)) break;
      if (x < box.left || x > box.right || y < box.top || y > box.bottom) continue;
      const paint = fill.startsWith('url(') ? undefined : faded(colour(fill), opacity);
      found = paint?.[3] === 1 ? paint : paint && found && over(paint, found);
    }
    return found;
  }
  function scale(element: Element): number {
    const matrix = element instanceof SVGGraphicsElement ? element.getScreenCTM() : null;
    return matrix ? Math.hypot(matrix.b, matrix.d) : 1;
  }

  function samples(): Sample[] {
    const found: Sample[] = [];
    const add = (element: Element | null, words: string, right: number, pseudo?: string) => {
      if (!element || !words.trim() || surface(element).hidden) return;
      if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return;
      found.push({ element, words: words.trim(), right, style: getComputedStyle(element, pseudo) });
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    while (walker.nextNode()) {
      const node = walker.currentNode;
      if (!node.nodeValue?.trim() || node.parentElement?.closest('option, textarea')) continue;
      range.selectNodeContents(node);
      const boxes = [...range.getClientRects()].filter(({ width, height }) => width > 1 && height > 1);
      if (boxes.length > 0) add(node.parentElement, node.nodeValue, Math.max(...boxes.map(({ right }) => right)));
    }
    for (const field of document.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>('input, textarea')) {
      if (/^(checkbox|radio|range|color|file|hidden|image)$/.test(field.type)) continue;
      if (field.value) add(field, field.value, 0);
      else add(field, field.placeholder, 0, '::placeholder');
    }
    for (const select of document.querySelectorAll('select')) add(select, select.value, 0);
    for (const element of document.body.querySelectorAll('*')) {
      for (const pseudo of ['::before', '::after']) {
        const { content } = getComputedStyle(element, pseudo);
        if (/^".*[\p{L}\p{N}]/u.test(content)) add(element, content, 0, pseudo);
      }
    }
    return found;
  }

  function called(element: Element): string {
    const names = [...element.classList].map((name) => `.${name}`).join('');
    return `<${element.localName}${element.id ? `#${element.id}` : ''}${names}>`;
  }
  const short = (words: string) => {
    const line = words.replaceAll(/\s+/g, ' ');
    return line.length > 40 ? `'${line.slice(0, 40)}…'` : `'${line}'`;
  };

  /** The first problem of a kind, and how many more there are. */
  const kinds = new Map<string, { first: string; more: number }>();
  function report(kind: string, place: string): void {
    const known = kinds.get(kind);
    if (known) known.more += 1;
    else kinds.set(kind, { first: `${kind}: ${place}`, more: 0 });
  }

  const width = window.innerWidth;
  const wide = document.documentElement.scrollWidth;
  if (wide > width) {
    const beyond = [...document.body.querySelectorAll('*')].filter(
      (element) => element.getBoundingClientRect().right > width && !surface(element.parentElement).clips,
    );
    const last = beyond.find((element) => !element.firstElementChild) ?? beyond[0] ?? document.body;
    report(`the page is ${wide} pixels wide in a window of ${width}`, called(last));
  }
  if (print) {
    for (const element of document.body.querySelectorAll('*')) {
      const scrolls = /auto|scroll/.test(getComputedStyle(element).overflowX);
      if (scrolls && element.scrollWidth > element.clientWidth + TOLERANCE_PIXELS && element.clientWidth > 0) {
        report('cut off in print, where nothing scrolls', called(element));
      }
    }
  }
  for (const link of document.querySelectorAll('link[rel~=preconnect], link[rel~=dns-prefetch]')) {
    report('request', `${link.getAttribute('rel')} ${link.getAttribute('href')}`);
  }
  let [texts, unchecked] = [0, 0];
  for (const sample of samples()) {
    const { element, style, words, right } = sample;
    if (right > width + TOLERANCE_PIXELS && !surface(element).clips) {
      report('text beyond the right edge', `${called(element)} ${short(words)}`);
    }
    const size = Number.parseFloat(style.fontSize) * scale(element);
    if (size < SMALLEST_PIXELS - TOLERANCE) {
      report(`text of ${size.toFixed(1)} pixels`, `${called(element)} ${short(words)}`);
    }
    const inSvg = element instanceof SVGElement;
    const css = inSvg ? style.fill : style.color;
    const below = behind(sample);
    if (!below || css.startsWith('url(')) {
      unchecked += 1;
      continue;
    }
    texts += 1;
    const opacity = surface(element).opacity * (inSvg ? Number(style.fillOpacity) : 1);
    const text = over(faded(colour(css), opacity), below);
    const ratio = contrast(text, below);
    if (ratio < LOWEST_CONTRAST - 0.005) {
      report(`contrast of ${ratio.toFixed(2)}:1, ${hex(text)} on ${hex(below)}`, `${called(element)} ${short(words)}`);
    }
  }
  const problems = [...kinds.values()].map(({ first, more }) => (more > 0 ? `${first} and ${more} more` : first));
  return { problems, texts, unchecked };
}
