// Which charts there are, and what of the log each of them shows.

import {number, percent} from './format.js';

// of: 'steps' or 'validations'; label: in legends; exact: not smoothed.
const step = (name, label, more = {}) => ({of: 'steps', name, label, ...more});
const heldOut = (name, label, more = {}) => ({of: 'validations', name, label, exact: true, dots: true, ...more});
const rewarded = (run) => run.kind === 'rl';
const numbered = (of, prefix, label, more = {}) => [1, 2, 3, 4].map((i) => ({of, name: `${prefix}_${i}`, label: `${label} ${i}`, ...more}));

const CHARTS = [
  {group: 'Loss', title: 'Loss', unit: 'nats a token', show: (run) => !rewarded(run),
   lines: [step('loss', 'training'), heldOut('loss', 'held out')]},
  {group: 'Loss', title: 'Held-out text', unit: 'bits per byte', lines: [heldOut('bits_per_byte', 'bits per byte')]},
  {group: 'Loss', title: 'Pairs in order', unit: 'share', format: percent,
   lines: [step('pair_accuracy', 'training'), heldOut('pair_accuracy', 'held out')]},
  {group: 'Loss', title: 'Labels right', unit: 'share', format: percent,
   lines: [step('label_accuracy', 'training'), heldOut('label_accuracy', 'held out')]},
  {group: 'Loss', title: 'MTP loss', unit: 'nats a token',
   lines: [...numbered('steps', 'mtp_loss', 'module'), ...numbered('validations', 'mtp_loss', 'held out', {exact: true, dots: true})]},
  {group: 'Loss', title: 'MTP acceptance', unit: 'share of tokens', format: percent,
   lines: numbered('validations', 'mtp_acceptance', 'module', {exact: true, dots: true})},

  {group: 'Reward', title: 'Reward', unit: 'mean of a step', lines: [step('reward', 'reward')]},
  {group: 'Reward', title: 'Right answers', unit: 'share', format: percent, show: rewarded,
   lines: [step('accuracy', 'while learning'), heldOut('accuracy', 'held out, greedy')]},
  {group: 'Reward', title: 'Parts of the reward', unit: 'mean of a step, before weights', show: rewarded,
   lines: [step('accuracy', 'accuracy'), step('format', 'format'), step('language', 'language'), step('overlong', 'overlong'),
           step('external', 'external')]},
  {group: 'Reward', title: 'Gold against proxy', unit: 'what is wanted, and the rest of the reward', show: rewarded,
   lines: [step('proxy', 'proxy'), step('gold', 'gold')]},
  {group: 'Reward', title: 'Length of answers', unit: 'tokens', show: rewarded,
   lines: [step('answer_tokens', 'while learning'), heldOut('answer_tokens', 'held out')]},
  {group: 'Reward', title: 'Answers that ended themselves', unit: 'share', format: percent, lines: [step('finished', 'finished')]},
  {group: 'Reward', title: 'Groups without spread', unit: 'teach nothing', lines: [step('groups_without_spread', 'groups')]},
  {group: 'Policy', title: 'Policy loss', unit: '', show: rewarded, lines: [step('loss', 'loss')]},
  {group: 'Policy', title: 'Divergence from the reference', unit: 'nats a token', lines: [step('kl', 'KL')]},
  {group: 'Policy', title: 'Clipped', unit: 'share of tokens', format: percent, lines: [step('clipped', 'clipped')]},
  {group: 'Policy', title: 'Ratio', unit: 'new over old policy, mean', lines: [step('ratio', 'ratio')]},
  {group: 'Policy', title: 'Deviation', unit: 'largest |ln ratio|', lines: [step('deviation', 'deviation')]},
  {group: 'Policy', title: 'Entropy', unit: 'nats a token', lines: [step('entropy', 'entropy')]},

  {group: 'Optimizer', title: 'Learning rate', unit: '', lines: [step('lr', 'learning rate', {exact: true})]},
  {group: 'Optimizer', title: 'Gradient norm', unit: 'before clipping', lines: [step('grad_norm', 'gradient norm')]},
  {group: 'Speed', title: 'Tokens a second', unit: '', lines: [step('tokens_per_second', 'tokens a second')]},
  {group: 'Speed', title: 'Model FLOPs utilisation', unit: 'share of the peak', format: percent, lines: [step('mfu', 'MFU')]},
  {group: 'Speed', title: 'Time of a step', unit: 'seconds', lines: [step('seconds', 'step'), step('rollout_seconds', 'rollouts')]},
  {group: 'Experts', title: 'Busiest expert', unit: 'over its share (max violation)', lines: [step('max_violation', 'max violation')]},
  {group: 'Experts', title: 'Balance loss', unit: '', lines: [step('balance_loss', 'balance loss')]},
];

// In this order; what no chart above names comes last.
export const GROUPS = ['Reward', 'Loss', 'Policy', 'Optimizer', 'Speed', 'Experts', 'Other'];
// What would say nothing: tokens are an axis, and a weight is a setting.
const NOT_SHOWN = new Set(['tokens', 'mtp_weight', 'problems', 'held_out_documents', 'held_out_bytes', 'held_out_sequences', 'held_out_targets',
  'held_out_examples', 'examples']);
const NAMED = new Set(CHARTS.flatMap(({lines}) => lines.map(({name}) => name)));

// The charts of some runs: [{key, group, title, unit, format, lines}], with the lines that one of them has.
export function chartsOf(runs) {
  const has = (run, {of, name}) => run[of].values.has(name);
  const charts = CHARTS.flatMap((chart) => {
    const fitting = runs.filter((run) => chart.show?.(run) ?? true);
    const lines = chart.lines.filter((line) => fitting.some((run) => has(run, line)));
    // Parts say something where there are several.
    if (lines.length === 0 || (chart.title.startsWith('Parts') && lines.length < 2)) return [];
    return [{format: number, ...chart, key: chart.title, lines}];
  });
  const others = new Map();
  for (const run of runs) {
    for (const of of ['steps', 'validations']) {
      for (const name of run[of].values.keys()) {
        if (NAMED.has(name) || NOT_SHOWN.has(name)) continue;
        const key = `${of} ${name}`;
        const title = name.replaceAll('_', ' ');
        others.set(key, {key, group: 'Other', title: of === 'steps' ? title : `${title} (held out)`, unit: '', format: number,
                         lines: [of === 'steps' ? step(name, title) : heldOut(name, title)]});
      }
    }
  }
  return [...charts, ...others.values()];
}
