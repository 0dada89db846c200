// SPDX-License-Identifier: Apache-2.0
// node browser.js CHROMIUM URL: opens the page, asks for what a page asks for, and holds a
// conversation over a WebSocket at /ws of the same origin. Says what came of it as JSON.
'use strict';
const { chromium } = require('playwright-core');

async function inPage() {
    const answers = await Promise.all(Array.from({ length: 30 }, async (_, n) => {
        const answer = await fetch(`/page?n=${n}`);
        return answer.status === 200 && (await answer.text()).includes('<h1>node</h1>');
    }));
    const body = new Uint8Array(300000).map((_, i) => i % 251);
    const upload = await (await fetch('/upload', { method: 'POST', body })).json();
    const download = (await (await fetch('/download?size=3000000')).arrayBuffer()).byteLength;
    const events = await new Promise((resolve) => {
        const seen = [];
        const source = new EventSource('/events');
        source.onmessage = (event) => {
            seen.push(event.data);
            if (seen.length === 5) {
                source.close();
                resolve(seen);
            }
        };
    });
    const socket = await new Promise((resolve) => {
        const url = location.href.replace(/^http/, 'ws').replace(/\/[^/]*$/, '/ws');
        const one = new WebSocket(url);
        const messages = ['hello', 'x'.repeat(70000), 'bye'];
        let next = 0;
        one.onopen = () => one.send(messages[0]);
        one.onmessage = (event) => {
            if (event.data !== messages[next]) {
                resolve(`message ${next} differs`);
            } else if (++next < messages.length) {
                one.send(messages[next]);
            } else {
                one.close(1000);
            }
        };
        one.onclose = (event) => resolve(`closed ${event.code} after ${next}`);
    });
    const protocols = performance.getEntriesByType('resource').concat(
        performance.getEntriesByType('navigation')).map((entry) => entry.nextHopProtocol);
    return { right: answers.filter(Boolean).length, upload: upload.size, download, events: events.length,
        socket, protocols: [...new Set(protocols)].sort() };
}

(async () => {
    const browser = await chromium.launch({ executablePath: process.argv[2], headless: true,
        args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server',
            '--host-resolver-rules=MAP * 127.0.0.1'] });
    try {
        const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
        await page.goto(process.argv[3]);
        console.log(JSON.stringify(await page.evaluate(inPage)));
    } finally {
        await browser.close();
    }
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
