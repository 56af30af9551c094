// Faults of the Web API, scheduled per method and per nth call from now on.
//
//   fault('chat.postMessage', { nth: 2, times: 1, ...what })       '*' = every method; also upload, download, response_url
//     when: r => bool      only requests that match (r.args, r.token ...); nth counts those. As a command: args: { text: 'part of it' }
//     times: null          for ever
//     status: 429, retryAfter: 2 | status: 503 (HTML body) | error: 'internal_error' (200, ok:false)
//     lose: true           the call is carried out, then the connection is reset: the answer is lost
//     cutBody: true        the call is carried out, half of the answer is sent, then the connection ends
//     reset: true          the connection is reset before anything is done
//     hang: true           carried out, never answered          delayMs: 500    carried out, answered late
//     body: 'text'         that body with status 200, as text/html or `type`
//     unthread: true       thread_ts is ignored, without a word
//     commit: bool         overrides whether the call is carried out
export class Faults {
  #list = [];

  add(method, what) {
    const f = { method, nth: 1, times: 1, ...what, seen: 0, hits: 0, clear: () => { this.#list = this.#list.filter(x => x !== f); } };
    if (!('commit' in what)) f.commit = !(f.status || f.error || f.reset || f.body);
    this.#list.push(f);
    return f;
  }

  clear(method) { this.#list = method ? this.#list.filter(f => f.method !== method) : []; }

  // The fault for this request; every fault that matches counts it, the first that is due is used.
  take(request) {
    let due = null;
    for (const f of this.#list) {
      if (f.method !== '*' && f.method !== request.method) continue;
      if (f.when && !f.when(request)) continue;
      if (f.args && !Object.entries(f.args).every(([k, part]) => String(request.args[k] ?? '').includes(part))) continue;
      f.seen++;
      if (!due && f.seen >= f.nth && f.hits < (f.times ?? Infinity)) { f.hits++; due = f; }
    }
    return due;
  }
}
