// What a hook costs before it has thought of anything: reads the call, answers.
let text = '';
for await (const part of process.stdin) text += part;
const { tool_name } = JSON.parse(text);
console.log(JSON.stringify({ hookSpecificOutput: { hookEventName: 'PreToolUse', permissionDecision: 'ask', permissionDecisionReason: tool_name } }));
