// Charts of the page, as SVG. Classes and colours are those of the report's style sheet.

import {linear, logarithmic} from './shared/axis.js';
import {svg} from './shared/dom.js';
import {cell, short} from './shared/numbers.js';

const WIDTH = 760;

const text = (x, y, anchor, kind, words) =>
  svg('text', {x, y, 'text-anchor': anchor, class: kind}, words);

// From numbers to pixels; logarithmic where positive numbers span more than two decades.
function axis(values, begin, end, withZero) {
  const finite = values.filter((value) => value !== null && Number.isFinite(value));
  let low = Math.min(...finite), high = Math.max(...finite);
  if (low > 0 && high / low > 100) return logarithmic(low, high, begin, end);
  if (withZero) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
  if (high <= low) {
    const around = high === 0 ? 1 : Math.abs(high) * 0.1;
    [low, high] = [low - around, high + around];
  }
  return linear(low, high, begin, end);
}

// One bar a scenario with its interval. bars: [{label, colour, value, low, high, unit}].
export function compared(title, bars) {
  const row = 30, left = 34, right = 96;
  const values = bars.flatMap((bar) => [bar.value, bar.low ?? bar.value, bar.high ?? bar.value]);
  const x = axis([...values, 0], left, WIDTH / 2 - right, true);
  const chart = svg('svg', {viewBox: `0 0 ${WIDTH / 2} ${row * bars.length + 4}`, role: 'img'}, svg('title', {}, title));
  bars.forEach((bar, i) => {
    const y = i * row + 4, zero = x.at(0), end = x.at(bar.value ?? 0);
    chart.append(text(left - 10, y + 15, 'end', 'label', bar.label));
    if (bar.value === null) {
      chart.append(text(left, y + 15, 'start', 'tick', 'does not work'));
      return;
    }
    chart.append(svg('rect', {x: Math.min(zero, end), y, width: Math.max(Math.abs(end - zero), 1), height: 20, rx: 3,
                              class: `c${bar.colour}`}));
    let outer = Math.max(zero, end);
    if (bar.low !== undefined) {
      const [low, high] = [x.at(bar.low), x.at(bar.high)];
      outer = Math.max(outer, high);
      chart.append(svg('line', {x1: low, x2: high, y1: y + 10, y2: y + 10, class: 'whisker'}),
                   svg('line', {x1: low, x2: low, y1: y + 5, y2: y + 15, class: 'whisker'}),
                   svg('line', {x1: high, x2: high, y1: y + 5, y2: y + 15, class: 'whisker'}));
    }
    chart.append(text(outer + 7, y + 15, 'start', 'value', cell(bar.value, bar.unit)));
  });
  return chart;
}

// Pixels that numbers need beside a bar.
const widthOf = (values, unit) => 14 + 7.4 * Math.max(...values.map((value) => cell(value, unit).length));

// What moves an output of one scenario; the JSON's "tornados" entry.
export function tornado(data) {
  // On a phone names stand above their bars.
  const narrow = matchMedia('(max-width: 640px)').matches;
  const width = narrow ? 380 : WIDTH, left = narrow ? 0 : 250, row = narrow ? 44 : 34, top = 34, barY = narrow ? 18 : 5;
  const bars = data.bars.slice(0, 10), bottom = top + row * bars.length;
  const values = [data.likely, ...bars.flatMap((bar) => [bar.at_low, bar.at_high])];
  const label = widthOf(values, data.unit);
  const x = axis(values, left + label, width - label, false);
  const chart = svg('svg', {viewBox: `0 0 ${width} ${bottom + 28}`, role: 'img', class: narrow ? 'narrow' : false},
                    svg('title', {}, `What drives ${data.label}`));
  for (const tick of x.ticks(narrow ? 3 : 5)) {
    chart.append(svg('line', {x1: x.at(tick), x2: x.at(tick), y1: top - 4, y2: bottom, class: 'grid'}),
                 text(x.at(tick), bottom + 16, 'middle', 'tick', cell(tick, data.unit)));
  }
  const middle = x.at(data.likely);
  chart.append(svg('line', {x1: middle, x2: middle, y1: top - 8, y2: bottom, class: 'likely'}),
               text(middle, top - 14, 'middle', 'value', `likely ${short(data.likely, data.unit)}`));
  bars.forEach((bar, i) => {
    const y = top + row * i;
    const range = `${cell(bar.input_low, '1')} to ${cell(bar.input_high, '1')}`;
    const name = bar.input.length > 40 ? `${bar.input.slice(0, 39)}…` : bar.input;
    if (narrow) chart.append(text(0, y + 12, 'start', 'label', name), text(width, y + 12, 'end', 'tick', range));
    else chart.append(text(left - 12, y + 14, 'end', 'label', name), text(left - 12, y + 27, 'end', 'tick', range));
    const halves = [{value: bar.at_low, kind: 'bar-low', input: bar.input_low},
                    {value: bar.at_high, kind: 'bar-high', input: bar.input_high}];
    const size = (half) => half.value === null ? 0 : Math.abs(half.value - data.likely);
    halves.sort((a, b) => size(b) - size(a));  // the longer one first: the shorter stays visible
    const sameWay = halves.every((half) => half.value !== null) &&
      (halves[0].value < data.likely) === (halves[1].value < data.likely);
    halves.forEach((half, order) => {
      if (half.value === null) {
        chart.append(text(middle + 6, y + 31, 'start', 'tick', `at ${half.input} the plan does not work`));
        return;
      }
      const end = x.at(half.value), leftwards = end < middle;
      chart.append(svg('rect', {x: Math.min(end, middle), y: y + barY, width: Math.max(Math.abs(end - middle), 0.5),
                                height: 16, rx: 2, class: half.kind},
                       svg('title', {}, `${bar.input} at ${half.input}: ${short(half.value, data.unit)}`)));
      if (order === 1 && sameWay) return;
      chart.append(text(leftwards ? end - 5 : end + 5, y + barY + 12.5, leftwards ? 'end' : 'start', 'value',
                        cell(half.value, data.unit)));
    });
  });
  return chart;
}

// Lines over one another. lines: [{label, colour, points: [[x, y]]}]; null where there is no number.
export function lines(name, lines, {xLabel, xUnit, unit}) {
  const width = 480, right = 16, legend = lines.length > 1;
  const left = Math.max(40, widthOf(lines.flatMap(({points}) => points.map(([, y]) => y)).filter((y) => y !== null), unit) - 4);
  const perRow = Math.max(1, Math.floor((width - left) / (40 + 7 * Math.max(...lines.map(({label}) => label.length)))));
  const top = 14 + (legend ? 20 * Math.ceil(lines.length / perRow) : 0), bottom = top + 190;
  const x = axis(lines.flatMap(({points}) => points.map(([at]) => at)), left, width - right, false);
  const y = axis(lines.flatMap(({points}) => points.map(([, at]) => at)), bottom, top, true);
  const chart = svg('svg', {viewBox: `0 0 ${width} ${bottom + 44}`, role: 'img'}, svg('title', {}, `${name} over ${xLabel}`));
  for (const tick of y.ticks(4)) {
    chart.append(svg('line', {x1: left, x2: width - right, y1: y.at(tick), y2: y.at(tick), class: 'grid'}),
                 text(left - 8, y.at(tick) + 4, 'end', 'tick', cell(tick, unit)));
  }
  for (const tick of x.ticks(6)) chart.append(text(x.at(tick), bottom + 18, 'middle', 'tick', cell(tick, xUnit)));
  chart.append(svg('line', {x1: left, x2: width - right, y1: bottom, y2: bottom, class: 'axis'}),
               text((left + width - right) / 2, bottom + 38, 'middle', 'label', xLabel + (x.logarithmic ? ' (logarithmic)' : '')));
  lines.forEach(({label, colour, points}, i) => {
    if (legend) {
      const atX = left + (i % perRow) * ((width - left) / perRow), atY = 10 + 20 * Math.floor(i / perRow);
      chart.append(svg('line', {x1: atX, x2: atX + 16, y1: atY - 4, y2: atY - 4, class: `line s${colour}`}),
                   text(atX + 22, atY, 'start', 'label', label));
    }
    let path = '', down = false;
    for (const [atX, atY] of points) {
      if (atX === null || atY === null) {
        down = false;
        continue;
      }
      path += `${down ? 'L' : 'M'}${x.at(atX).toFixed(1)} ${y.at(atY).toFixed(1)}`;
      down = true;
      chart.append(svg('circle', {cx: x.at(atX), cy: y.at(atY), r: 3, class: `c${colour}`},
                       svg('title', {}, `${label}: ${short(atY, unit)} at ${cell(atX, xUnit)} ${xLabel}`)));
    }
    chart.append(svg('path', {d: path, class: `line s${colour}`}));
  });
  return chart;
}
