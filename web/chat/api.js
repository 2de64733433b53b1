// The server's API: its model, and answers as they are written.

import {forget, read, write} from './shared/kept.js';

const KEY = 'fathom.key';
let key = read(KEY, sessionStorage) ?? read(KEY);

export const hasKey = () => Boolean(key);

// remember: beyond this tab. null forgets it.
export function setKey(value, remember = false) {
  key = value;
  forget(KEY, sessionStorage);
  forget(KEY);
  if (value) write(KEY, value, remember ? localStorage : sessionStorage);
}

// status: 0 when nobody answered. until: when one may try again, in milliseconds since 1970; 0 when nobody says.
export class Failure extends Error {
  constructor(status, message, code = '', until = 0) {
    super(message);
    Object.assign(this, {status, code, until});
  }
}

async function failureOf(response) {
  let error = null;
  try {
    ({error} = await response.json());
  } catch {
    // Not this server's: something between here and there has answered.
  }
  const seconds = Number(response.headers.get('Retry-After'));
  return new Failure(response.status, error?.message ?? `the server answered ${response.status} ${response.statusText}`,
    error?.code ?? '', seconds > 0 ? Date.now() + seconds * 1000 : 0);
}

async function ask(path, options = {}) {
  const headers = {...options.headers, ...key ? {Authorization: `Bearer ${key}`} : {}};
  let response;
  try {
    response = await fetch(path, {...options, headers});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Failure(0, 'The server does not answer. Is it still running?');
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}

// {id, max_model_len, default_sampling}
export async function model() {
  const response = await ask('v1/models');
  return (await response.json()).data[0];
}

// The data of server-sent events, as they come.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let line = '', data = [];
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    const lines = (line + value).split('\n');
    line = lines.pop();
    for (const whole of lines.map((text) => text.replace(/\r$/, ''))) {
      if (whole.startsWith('data:')) {
        data.push(whole.slice(5).replace(/^ /, ''));
      } else if (whole === '' && data.length > 0) {
        yield data.join('\n');
        data = [];
      }
    }
  }
}

// The chunks of an answer, the last of which has the usage. Failure, or AbortError once signal is aborted.
export async function* streamAnswer(request, signal) {
  const response = await ask('v1/chat/completions', {
    method: 'POST', signal, headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({...request, stream: true, stream_options: {include_usage: true}}),
  });
  try {
    for await (const data of events(response.body)) {
      if (data === '[DONE]') return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Failure(500, chunk.error.message, chunk.error.code ?? '');
      yield chunk;
    }
  } catch (error) {
    if (error.name === 'AbortError' || error instanceof Failure) throw error;
  }
  throw new Failure(0, 'the connection ended before the answer did');
}
