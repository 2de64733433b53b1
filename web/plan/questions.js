// Questions that people come with, as scenarios of one command.

export const QUESTIONS = [
  {title: 'What does DeepSeek-V3 cost to train?', command: 'train', scenarios: [{}]},
  {title: 'What do FP8 and DualPipe save in training?', command: 'train',
   scenarios: [{}, {precision: 'bf16'}, {schedule: '1f1b'}]},
  {title: 'What does a million tokens cost me on H800, H20, H200?', command: 'serve',
   scenarios: [{on: 'h800'}, {on: 'h20'}, {on: 'h200'}]},
  {title: 'Is DeepSeek’s price above its cost?', command: 'serve',
   scenarios: [{price: 'deepseek-r1'}, {price: 'deepseek-v3'}]},
  {title: 'What does MLA save?', command: 'serve', scenarios: [{}, {'kv-heads': '8'}, {'kv-heads': '128'}]},
  {title: 'What does a larger expert-parallel group save?', command: 'serve',
   scenarios: [{'decode-devices': '32'}, {'decode-devices': '144'}, {'decode-devices': '320'}]},
  {title: 'What does faster output cost?', command: 'serve',
   scenarios: [{speed: '10'}, {speed: '20'}, {speed: '40'}]},
  {title: 'Shall I own or rent H100s?', command: 'price', scenarios: [{on: 'h100'}, {on: 'h800'}]},
];
