// A Jira (Cloud or Server) or a GitLab that takes tickets, and refuses what the published API would refuse.
//
//     const f = await fakeTickets('cloud');   // 'server', 'gitlab'
//     f.fault = (step, q) => ({ status: 500 });   // step: detect search create status look comment; nothing = no fault.
//                                                  // after: true = it is done first; drop: true = no answer
import http from 'node:http';

const strict = (where, o, allowed, required = []) => {
  for (const k of Object.keys(o)) if (!allowed.includes(k)) throw new Error(`${where}: unknown member ${k}`);
  for (const k of required) if (o[k] === undefined) throw new Error(`${where}: ${k} is required`);
};

// The part of the Atlassian Document Format that may occur (its published JSON schema).
export function checkAdf(doc) {
  strict('doc', doc, ['version', 'type', 'content'], ['version', 'type', 'content']);
  if (doc.version !== 1 || doc.type !== 'doc') throw new Error('not a document of version 1');
  const inside = { doc: ['paragraph', 'bulletList', 'codeBlock'], bulletList: ['listItem'], listItem: ['paragraph'], paragraph: ['text'], codeBlock: ['text'] };
  const walk = (parent, n) => {
    if (!inside[parent].includes(n.type)) throw new Error(`${n.type} in ${parent}`);
    if (n.type === 'text') {
      strict('text', n, ['type', 'text', 'marks'], ['text']);
      if (typeof n.text !== 'string' || !n.text.length) throw new Error('an empty text');
      for (const m of n.marks ?? []) {
        strict('mark', m, ['type', 'attrs']);
        if (m.type !== 'link' || !/^https?:/.test(m.attrs.href) || parent === 'codeBlock') throw new Error('a bad mark');
      }
      return n.text;
    }
    strict(n.type, n, ['type', 'content', 'attrs'], ['content']);
    if (['bulletList', 'listItem'].includes(n.type) && !n.content.length) throw new Error(`an empty ${n.type}`);
    return n.content.map(c => walk(n.type, c)).join('');
  };
  return doc.content.map(n => walk('doc', n)).join('\n');
}

export async function fakeTickets(kind) {
  const cloud = kind === 'cloud', gitlab = kind === 'gitlab', api = cloud ? '/rest/api/3' : '/rest/api/2';
  const f = { kind, issues: [], log: [], fault: () => null, errors: [] };
  const credentials = { cloud: 'Basic ' + Buffer.from('sre@example.com:jira-token').toString('base64'), server: 'Bearer jira-token' };
  f.env = gitlab ? { GITLAB_TOKEN: 'gitlab-token', GITLAB_PROJECT: 'ops/alerts' }
    : { JIRA_TOKEN: 'jira-token', JIRA_PROJECT: 'OPS', ...(cloud && { JIRA_EMAIL: 'sre@example.com' }) };
  const text = v => { if (cloud) return checkAdf(v); if (typeof v !== 'string') throw new Error('a text is required'); return v; };

  function jiraCreate(b) {
    strict('body', b, ['fields', 'update'], ['fields']);
    strict('fields', b.fields, ['project', 'issuetype', 'summary', 'description', 'labels', 'assignee'], ['project', 'issuetype', 'summary']);
    const { project, issuetype, summary, labels = [], assignee } = b.fields, errors = {};
    if (project.key !== 'OPS') errors.project = 'valid project is required';
    if (!['Task', 'Bug'].includes(issuetype.name)) errors.issuetype = 'Specify a valid issue type';
    if (!summary.length || summary.length > 255 || /\n/.test(summary)) errors.summary = 'The summary is invalid because it contains newline characters.';
    if (labels.some(l => typeof l !== 'string' || /\s/.test(l))) errors.labels = "The label can't contain spaces.";
    if (assignee && !['id', 'accountId'].some(k => cloud && k in assignee) && !(kind === 'server' && 'name' in assignee)) throw new Error('assignee: not its shape');
    if (assignee && Object.values(assignee)[0] !== 'ana') errors.assignee = `User '${Object.values(assignee)[0]}' does not exist.`;
    if (Object.keys(errors).length) return [400, { errorMessages: [], errors }];
    const i = { key: `OPS-${f.issues.length + 1}`, summary, text: text(b.fields.description), labels, assignee, comments: [], open: true };
    f.issues.push(i);
    return [201, { id: String(10000 + f.issues.length), key: i.key, self: `${f.url}${api}/issue/${i.key}` }];
  }
  function gitlabCreate(b) {
    strict('body', b, ['title', 'description', 'labels', 'assignee_ids', 'confidential', 'issue_type'], ['title']);
    if (!b.title.length || b.title.length > 255) return [400, { message: { title: ['is too long'] } }];
    if (b.labels !== undefined && typeof b.labels !== 'string') throw new Error('labels: a comma-separated string');
    const actions = [...(b.description ?? '').matchAll(/^\s*\/(\w+) ?(.*)$/gm)].map(m => [m[1], m[2]]);
    const i = { key: String(f.issues.length + 1), summary: b.title, text: b.description, labels: b.labels?.split(',') ?? [], assignee: actions.find(a => a[0] === 'assign')?.[1], actions, comments: [], open: true };
    f.issues.push(i);
    return [201, { id: 900 + f.issues.length, iid: f.issues.length, state: 'opened', web_url: `${f.url}/ops/alerts/-/issues/${i.key}` }];
  }
  const category = i => ({ id: '1', key: i.key, fields: { status: { name: 'x', statusCategory: { key: i.open ? 'new' : 'done' } } } });
  const gitlabIssue = i => ({ iid: +i.key, state: i.open ? 'opened' : 'closed', web_url: `${f.url}/ops/alerts/-/issues/${i.key}` });

  function route(q, body) {
    const u = new URL(q.url, f.url), p = u.pathname;
    let m;
    if (gitlab) {
      const at = '/api/v4/projects/ops%2Falerts/issues';
      if (!p.startsWith(at)) return ['none', () => [404, { message: '404 Project Not Found' }]];
      const rest = p.slice(at.length);
      if (q.method === 'GET' && rest === '') return ['search', () => [200, f.issues.filter(i => i.text.includes(u.searchParams.get('search')) && u.searchParams.get('in') === 'description').map(gitlabIssue)]];
      if (q.method === 'POST' && rest === '') return ['create', () => gitlabCreate(body)];
      if (!(m = /^\/(\d+)(\/notes)?$/.exec(rest))) return ['none', () => [404, { error: '404 Not Found' }]];
      const i = f.issues.find(x => x.key === m[1]);
      if (q.method === 'GET' && !m[2]) return ['status', () => i ? [200, gitlabIssue(i)] : [404, { message: '404 Not found' }]];
      if (q.method === 'GET') return ['look', () => [200, i.comments.map((c, k) => ({ id: k, body: c })).reverse()]];
      return ['comment', () => { strict('note', body, ['body', 'internal'], ['body']); i.comments.push(body.body); return [201, { id: i.comments.length, body: body.body }]; }];
    }
    if (p === '/rest/api/2/serverInfo') return ['detect', () => [200, { baseUrl: f.url, version: '9.12.0', ...(kind !== 'old' && { deploymentType: cloud ? 'Cloud' : 'Server' }) }]];
    if (!p.startsWith(api + '/')) return ['none', () => [404, { errorMessages: ['no such API'] }]];
    const rest = p.slice(api.length);
    if (q.method === 'POST' && rest === (cloud ? '/search/jql' : '/search')) return ['search', () => {
      strict('search', body, ['jql', 'maxResults', 'fields', ...(cloud ? ['nextPageToken', 'expand', 'reconcileIssues'] : ['startAt', 'validateQuery'])], ['jql']);
      const [, project, label] = /^project = "(.*)" AND labels = "(.*)"$/.exec(body.jql);
      return [200, { issues: f.issues.filter(i => project === 'OPS' && i.labels.includes(label)).map(category) }];
    }];
    if (q.method === 'POST' && rest === '/issue') return ['create', () => jiraCreate(body)];
    if (!(m = /^\/issue\/([A-Z]+-\d+)(\/comment)?$/.exec(rest))) return ['none', () => [404, {}]];
    const i = f.issues.find(x => x.key === m[1]);
    if (!i) return [m[2] ? 'comment' : 'status', () => [404, { errorMessages: ['Issue does not exist or you do not have permission to see it.'], errors: {} }]];
    if (q.method === 'GET' && !m[2]) return ['status', () => [200, category(i)]];
    if (q.method === 'GET') return ['look', () => [200, { comments: i.comments.map((body, id) => ({ id: String(id), body })) }]];
    return ['comment', () => { strict('comment', body, ['body', 'visibility'], ['body']); i.comments.push(text(body.body)); return [201, { id: '1' }]; }];
  }

  const server = http.createServer(async (q, s) => {
    let raw = '';
    for await (const d of q) raw += d;
    const answer = (status, json, headers = {}) => { s.writeHead(status, { 'content-type': 'application/json', ...headers }); s.end(JSON.stringify(json)); };
    try {
      const json = raw ? JSON.parse(raw) : undefined;
      if (json && q.headers['content-type'] !== 'application/json') throw new Error('content-type');
      const [step, act] = route(q, json);
      f.log.push(step);
      const authorized = step === 'detect' || (gitlab ? q.headers['private-token'] === 'gitlab-token' : q.headers.authorization === credentials[kind]);
      if (!authorized) return answer(401, gitlab ? { message: '401 Unauthorized' } : { errorMessages: ['Client must be authenticated to access this resource.'] });
      const fault = f.fault(step, q);
      if (fault?.after) act();
      if (fault?.hold) await fault.hold;
      if (fault?.drop) return q.socket.destroy();
      if (fault) return answer(fault.status, fault.json ?? {}, fault.headers);
      answer(...act());
    } catch (e) {
      f.errors.push(e.message);
      answer(400, { errorMessages: [e.message], errors: {} });
    }
  }).listen(0, '127.0.0.1');
  await new Promise(r => server.once('listening', r));
  server.unref();
  f.url = `http://127.0.0.1:${server.address().port}`;
  f.env[gitlab ? 'GITLAB_URL' : 'JIRA_URL'] = f.url;
  return f;
}
