// What the server is asked.

const PATIENCE = 20000;  // milliseconds

// Of an answer that is an error.
export class Refused extends Error {
  constructor(status) {
    super(`the server says ${status}`);
    this.status = status;
  }
}

async function ask(path) {
  const answer = await fetch(path, {signal: AbortSignal.timeout(PATIENCE)});
  if (!answer.ok) throw new Refused(answer.status);
  return answer;
}

export const fetchRuns = async () => (await ask('api/runs')).json();
export const fetchNews = async (query) => (await ask(`api/news?${query}`)).json();
export const fetchSamples = async (id, step) => (await (await ask(`api/samples?run=${id}&step=${step}`)).json()).samples;
export const fetchConfig = async (id) => (await ask(`api/config?run=${id}`)).text();
