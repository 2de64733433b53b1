// What the server answered, for all scenarios side by side.

import * as charts from './charts.js';
import {element} from './shared/dom.js';
import {cell, change, range, short} from './shared/numbers.js';

export const LETTERS = ['A', 'B', 'C', 'D'];

const DRIVERS = 'One input at a time over its range, the others at their likely values';

const isNumber = (row) => row !== undefined && typeof row === 'object';
const shown = (row) => row === undefined ? '' : typeof row === 'string' ? row : row.shown ?? short(row.value, row.unit);

// Opened parts stay open when numbers change.
const opened = new Set();
function details(key, title, body) {
  const part = element('details', {open: opened.has(key),
                                   ontoggle: () => part.open ? opened.add(key) : opened.delete(key)},
                       element('summary', {}, title), body);
  return part;
}

const origin = (row) => element('span', {class: `origin ${row.origin}`}, row.origin);

// A row of text has no label.
const nameOf = (key) => key.replaceAll('_', ' ');

// What was asked, of all scenarios: the rows that the first of them answers with.
function answer({section, key}, scenarios) {
  const label = scenarios.map(({result}) => result?.sections[section]?.[key]?.label).find(Boolean) ?? nameOf(key);
  if (!scenarios.some(({result}) => result?.sections[section]?.[key])) return null;
  const bars = [];
  scenarios.forEach(({result}, i) => {
    if (!result) return;
    const row = result.sections[section]?.[key];
    bars.push({label: LETTERS[i], colour: i, value: row?.value ?? null, low: row?.low, high: row?.high, unit: row?.unit});
  });
  const [only] = bars;
  return element('li', {'data-key': key},
    element('span', {class: 'what'}, label),
    bars.length > 1 ? charts.compared(label, bars) : [
      element('strong', {}, shown(scenarios.find(({result}) => result).result.sections[section]?.[key])),
      only.low === undefined ? null
        : element('span', {class: 'range-text'}, `90 %: ${range(only.low, only.high, only.unit)}`),
    ]);
}

// What drives a row, in a row below it that opens when its name is pressed.
const openRows = new Set();
function driversBelow(name, data, columns) {
  const chart = element('tr', {class: 'drivers', hidden: !openRows.has(name)},
    element('td', {colspan: columns}, element('figure', {}, element('figcaption', {}, DRIVERS), charts.tornado(data))));
  const button = element('button', {type: 'button', class: 'why', 'aria-expanded': String(openRows.has(name)),
    title: `What drives ${data.label}`, onclick: () => {
      chart.hidden = !chart.hidden;
      button.setAttribute('aria-expanded', String(!chart.hidden));
      if (chart.hidden) openRows.delete(name);
      else openRows.add(name);
    }}, data.label);
  return {button, chart};
}

function singleTable(section, rows, tornados) {
  const ranged = rows.some(([, [row]]) => isNumber(row) && row.low !== undefined);
  const head = [['What'], ['Value', 'number'], ranged ? ['90 % of samples', 'range-cell'] : null, ['Origin', 'origin-cell'],
                ['Source, formula or published value']];
  return element('table', {class: 'rows'}, element('thead', {}, element('tr', {}, head.filter(Boolean).map(([title, kind]) =>
    element('th', {scope: 'col', class: kind ?? false}, title)))),
  element('tbody', {}, rows.flatMap(([key, [row]]) => {
    if (!isNumber(row)) {
      return [element('tr', {}, element('th', {scope: 'row'}, nameOf(key)), element('td', {class: 'text', colspan: ranged ? 4 : 3}, row))];
    }
    const data = tornados.find((one) => one.section === section && one.key === key);
    const below = data ? driversBelow(`${section}/${key}`, data, ranged ? 5 : 4) : null;
    return [element('tr', {'data-key': key}, element('th', {scope: 'row'}, below?.button ?? row.label ?? nameOf(key)),
      element('td', {class: 'number'}, shown(row)),
      ranged ? element('td', {class: 'range-cell'},
                       row.low === undefined ? '' : range(row.low, row.high, row.unit)) : null,
      element('td', {}, origin(row)),
      element('td', {class: row.note?.startsWith('published ') ? 'note checked' : 'note'}, row.note ?? '')),
    below?.chart];
  })));
}

// Scenario A is what the others are compared with.
function comparedTable(rows, columns) {
  return element('table', {class: 'compared'}, element('thead', {}, element('tr', {}, element('th', {scope: 'col'}, 'What'),
    columns.map((i) => element('th', {scope: 'col', class: `number scenario-${i}`}, LETTERS[i])),
    element('th', {scope: 'col'}, 'Origin'))),
  element('tbody', {}, rows.map(([key, cells, differs]) => {
    const any = cells.find((cell) => cell !== undefined), base = cells[0];
    return element('tr', {class: differs ? 'differs' : false, 'data-key': key},
      element('th', {scope: 'row', title: any.note ?? false}, any.label ?? nameOf(key)),
      cells.map((cell, i) => {
        const by = i > 0 && isNumber(cell) && isNumber(base) ? change(cell.value, base.value) : '';
        return element('td', {class: isNumber(cell) ? 'number' : 'number text'}, shown(cell),
          by ? element('span', {class: 'change'}, by) : null,
          isNumber(cell) && cell.low !== undefined
            ? element('span', {class: 'range-text'}, range(cell.low, cell.high, cell.unit)) : null);
      }),
      element('td', {}, isNumber(any) ? origin(any) : ''));
  })));
}

function sections(scenarios, onlyDifferences) {
  const columns = scenarios.flatMap(({result}, i) => result ? [i] : []);
  const results = columns.map((i) => scenarios[i].result);
  const names = [...new Set(results.flatMap((result) => Object.keys(result.sections)))];
  // What was given comes after what follows from it.
  const isGiven = (name) => results.every((result) =>
    Object.values(result.sections[name] ?? {}).every((row) => !isNumber(row) || row.origin === 'input'));
  names.sort((a, b) => isGiven(a) - isGiven(b));
  return names.flatMap((name) => {
    const keys = [...new Set(results.flatMap((result) => Object.keys(result.sections[name] ?? {})))];
    const rows = keys.map((key) => {
      const cells = results.map((result) => result.sections[name]?.[key]);
      return [key, cells, new Set(cells.map(shown)).size > 1];
    }).filter(([, , differs]) => differs || !onlyDifferences);
    if (rows.length === 0) return [];
    return [element('section', {class: 'card'}, element('h2', {}, name), element('div', {class: 'scroll'},
      columns.length > 1 ? comparedTable(rows, columns) : singleTable(name, rows, results[0].tornados)))];
  });
}

function numbersOf({columns, rows, labels, sources}, caption) {
  const head = [labels ? element('th', {scope: 'col'}) : null,
                ...columns.map((column) => element('th', {scope: 'col', class: 'number'}, column.label)),
                sources ? element('th', {scope: 'col'}, 'Source') : null];
  return element('div', {class: 'scroll'}, element('table', {}, caption ? element('caption', {}, caption) : null,
    element('thead', {}, element('tr', {}, head)),
    element('tbody', {}, rows.map((row, r) => element('tr', {}, labels ? element('th', {scope: 'row'}, labels[r]) : null,
      row.map((value, i) => element('td', {class: 'number'}, cell(value, columns[i].unit))),
      sources ? element('td', {class: 'note'}, sources[r]) : null)))));
}

// Columns of one unit share a chart; where scenarios are compared, every column has its own.
function plots(tables, several) {
  const {columns} = tables[0].table;
  const points = ({rows}, column) => rows.map((row) => [row[0], row[column]]);
  const over = (column) => ({xLabel: columns[0].label, xUnit: columns[0].unit, unit: columns[column].unit});
  const figure = (title, chart) => element('figure', {}, element('figcaption', {}, title), chart);
  const numbers = columns.map((_, i) => i).slice(1);
  if (several) {
    return numbers.map((column) => figure(columns[column].label, charts.lines(columns[column].label,
      tables.filter(({table}) => table.columns.length === columns.length)
        .map(({label, colour, table}) => ({label, colour, points: points(table, column)})), over(column))));
  }
  const units = [...new Set(numbers.map((column) => columns[column].unit))];
  return units.map((unit) => {
    const alike = numbers.filter((column) => columns[column].unit === unit);
    const title = alike.length === 1 ? columns[alike[0]].label : '';
    return figure(title, charts.lines(title || 'numbers', alike.map((column, i) =>
      ({label: columns[column].label, colour: i, points: points(tables[0].table, column)})), over(alike[0])));
  });
}

// Tables as curves; those whose rows have names as they are.
function sweeps(scenarios, named) {
  const byName = new Map();
  const several = scenarios.filter(({result}) => result).length > 1;
  scenarios.forEach(({result}, i) => {
    for (const table of result?.tables ?? []) {
      if ((table.labels !== undefined) !== named) continue;
      if (!byName.has(table.name)) byName.set(table.name, []);
      byName.get(table.name).push({label: LETTERS[i], colour: i, table});
    }
  });
  return [...byName].map(([name, tables]) => {
    const {note, rows} = tables[0].table;
    const numbers = tables.map(({label, table}) => numbersOf(table, several ? label : ''));
    const hint = note ? element('p', {class: 'hint'}, note) : null;
    return element('section', {class: 'card'}, element('h2', {}, name), hint,
      named || rows.length < 2 ? numbers
        : [element('div', {class: 'charts'}, plots(tables, several)), details(`numbers ${name}`, 'The numbers', numbers)]);
  });
}

function drivers(scenario, letter) {
  return (scenario.result?.tornados ?? []).filter(({headline}) => headline).map((data) => element('section', {class: 'card'},
    element('h2', {}, `What drives ${data.label}${letter ? `, ${letter}` : ''}`),
    element('figure', {}, element('figcaption', {}, DRIVERS, ': ',
      element('span', {class: 'key-low'}, 'at its low end'), ' ', element('span', {class: 'key-high'}, 'at its high end')),
    charts.tornado(data))));
}

// scenarios: [{result, error}]; selected: whose drivers are shown.
export function showResults(output, scenarios, selected, onlyDifferences, toggle) {
  const results = scenarios.map(({result}) => result);
  const faults = scenarios.flatMap(({error}, i) => error ? [element('p', {class: 'failure', role: 'alert'},
    scenarios.length > 1 ? `${LETTERS[i]}: ` : '', error.field ? element('strong', {}, `${error.field}: `) : null, error.message)] : []);
  if (!results.some(Boolean)) {
    output.replaceChildren(...faults);
    return;
  }
  const several = results.filter(Boolean).length > 1;
  // What was compared comes first; one scenario's drivers say more than its rows.
  const tables = sections(scenarios, several && onlyDifferences);
  output.replaceChildren(...faults,
    element('ul', {class: several ? 'headlines several' : 'headlines'}, results.find(Boolean).answers.map((one) => answer(one, scenarios))),
    several ? element('label', {class: 'only'}, element('input', {type: 'checkbox', id: 'only', checked: onlyDifferences,
      onchange: (event) => toggle(event.target.checked)}), ' only what differs') : '',
    ...several ? tables : [],
    ...drivers(scenarios[selected], several ? LETTERS[selected] : ''),
    ...several ? [] : tables,
    ...sweeps(scenarios, false),
    ...sweeps(scenarios, true));
}
