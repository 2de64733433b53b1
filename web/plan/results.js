// What the server answered, for all scenarios side by side.

import * as charts from './charts.js';
import {element} from './dom.js';
import {change, short} from './format.js';

export const LETTERS = ['A', 'B', 'C', 'D'];

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

// The outputs whose drivers the report shows.
function headlines(results) {
  const first = results.find(Boolean);
  return first.tornados.map(({section, key, label}) => ({section, key, label}));
}

function headline({section, key, label}, scenarios) {
  const bars = [];
  scenarios.forEach(({result}, i) => {
    if (!result) return;
    const row = result.sections[section]?.[key];
    bars.push({label: LETTERS[i], colour: i, value: row?.value ?? null, low: row?.low, high: row?.high, unit: row?.unit});
  });
  const [only] = bars;
  return element('li', {'data-key': key},
    element('span', {class: 'what'}, `${section}: ${label}`),
    bars.length > 1 ? charts.compared(label, bars) : [
      element('strong', {}, shown(scenarios.find(({result}) => result).result.sections[section]?.[key])),
      only.low === undefined ? null
        : element('span', {class: 'range-text'}, `90 %: ${short(only.low, only.unit)} to ${short(only.high, only.unit)}`),
    ]);
}

function singleTable(rows) {
  const ranged = rows.some(([, [row]]) => isNumber(row) && row.low !== undefined);
  const head = [['What'], ['Value', 'number'], ranged ? ['90 % of samples', 'range-cell'] : null, ['Origin', 'origin-cell'],
                ['Source, formula or published value']];
  return element('table', {class: 'rows'}, element('thead', {}, element('tr', {}, head.filter(Boolean).map(([title, kind]) =>
    element('th', {scope: 'col', class: kind ?? false}, title)))),
  element('tbody', {}, rows.map(([key, [row]]) => !isNumber(row)
    ? element('tr', {}, element('th', {scope: 'row'}, key), element('td', {class: 'text', colspan: ranged ? 4 : 3}, row))
    : element('tr', {'data-key': key}, element('th', {scope: 'row'}, row.label ?? key), element('td', {class: 'number'}, shown(row)),
      ranged ? element('td', {class: 'range-cell'},
                       row.low === undefined ? '' : `${short(row.low, row.unit)} to ${short(row.high, row.unit)}`) : null,
      element('td', {}, origin(row)),
      element('td', {class: row.note?.startsWith('published ') ? 'note checked' : 'note'}, row.note ?? '')))));
}

// Scenario A is what the others are compared with.
function comparedTable(rows, columns) {
  return element('table', {class: 'compared'}, element('thead', {}, element('tr', {}, element('th', {scope: 'col'}, 'What'),
    columns.map((i) => element('th', {scope: 'col', class: `number scenario-${i}`}, LETTERS[i])),
    element('th', {scope: 'col'}, 'Origin'))),
  element('tbody', {}, rows.map(([key, cells, differs]) => {
    const any = cells.find((cell) => cell !== undefined), base = cells[0];
    return element('tr', {class: differs ? 'differs' : false, 'data-key': key},
      element('th', {scope: 'row', title: any.note ?? false}, any.label ?? key),
      cells.map((cell, i) => {
        const by = i > 0 && isNumber(cell) && isNumber(base) ? change(cell.value, base.value) : '';
        return element('td', {class: isNumber(cell) ? 'number' : 'number text'}, shown(cell),
          by ? element('span', {class: 'change'}, by) : null,
          isNumber(cell) && cell.low !== undefined
            ? element('span', {class: 'range-text'}, `${short(cell.low, cell.unit)} to ${short(cell.high, cell.unit)}`) : null);
      }),
      element('td', {}, isNumber(any) ? origin(any) : ''));
  })));
}

function sections(scenarios, onlyDifferences) {
  const columns = scenarios.flatMap(({result}, i) => result ? [i] : []);
  const results = columns.map((i) => scenarios[i].result);
  const names = [...new Set(results.flatMap((result) => Object.keys(result.sections)))];
  return names.flatMap((name) => {
    const keys = [...new Set(results.flatMap((result) => Object.keys(result.sections[name] ?? {})))];
    const rows = keys.map((key) => {
      const cells = results.map((result) => result.sections[name]?.[key]);
      return [key, cells, new Set(cells.map(shown)).size > 1];
    }).filter(([, , differs]) => differs || !onlyDifferences);
    if (rows.length === 0) return [];
    return [element('section', {class: 'card'}, element('h2', {}, name), element('div', {class: 'scroll'},
      columns.length > 1 ? comparedTable(rows, columns) : singleTable(rows)))];
  });
}

function sweeps(scenarios) {
  const named = new Map();
  scenarios.forEach(({result}, i) => {
    for (const table of result?.tables ?? []) {
      if (!named.has(table.name)) named.set(table.name, []);
      named.get(table.name).push({label: LETTERS[i], colour: i, table});
    }
  });
  return [...named].map(([name, tables]) => {
    const {columns, note, rows} = tables[0].table;
    const plots = rows.length > 1 ? columns.slice(1).map((column, i) => element('figure', {},
      element('figcaption', {}, column.label),
      charts.lines(i + 1, tables.filter(({table}) => table.columns.length === columns.length)))) : [];
    return element('section', {class: 'card'}, element('h2', {}, name), note ? element('p', {class: 'hint'}, note) : null, plots,
      details(`numbers ${name}`, 'The numbers', tables.map(({label, table}) => element('div', {class: 'scroll'},
        element('table', {}, element('caption', {}, scenarios.length > 1 ? label : ''),
          element('thead', {}, element('tr', {}, table.columns.map((column) => element('th', {scope: 'col', class: 'number'}, column.label)))),
          element('tbody', {}, table.rows.map((row) => element('tr', {}, row.map((value, i) =>
            element('td', {class: 'number'}, short(value, table.columns[i].unit)))))))))));
  });
}

function drivers(scenario, letter) {
  return (scenario.result?.tornados ?? []).map((data) => element('section', {class: 'card'},
    element('h2', {}, `What drives ${data.label}${letter ? `, ${letter}` : ''}`),
    element('figure', {}, element('figcaption', {}, 'One input at a time over its range, the others at their likely values: ',
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
    element('ul', {class: several ? 'headlines several' : 'headlines'}, headlines(results).map((one) => headline(one, scenarios))),
    several ? element('label', {class: 'only'}, element('input', {type: 'checkbox', id: 'only', checked: onlyDifferences,
      onchange: (event) => toggle(event.target.checked)}), ' only what differs') : '',
    ...several ? tables : [],
    ...drivers(scenarios[selected], several ? LETTERS[selected] : ''),
    ...sweeps(scenarios),
    ...several ? [] : tables);
}
