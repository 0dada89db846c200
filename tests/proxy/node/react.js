// SPDX-License-Identifier: Apache-2.0
// node react.js CHROMIUM develop URL PROJECT: looks at the page of Vite's server, edits the project's
// files, and sees what becomes of the page.
// node react.js CHROMIUM built URL: goes through the built application. Both say what came of it as JSON.
'use strict';
const fs = require('fs');
const path = require('path');
const { chromium } = require('playwright-core');

const heading = (page) => page.textContent('h1');

function edit(project, name, from, to) {
    const file = path.join(project, name);
    const text = fs.readFileSync(file, 'utf8');
    if (!text.includes(from)) {
        throw new Error(`${name} has no ${from}`);
    }
    fs.writeFileSync(file, text.replace(from, to));
}

async function develop(page, base, project) {
    const said = {};
    let loads = 0;
    page.on('load', () => loads++);
    const connected = page.waitForEvent('console', (line) => line.text().includes('[vite] connected'));
    await page.goto(`${base}/`);
    await page.waitForSelector('h1');
    await connected;
    said.first = await heading(page);
    for (let i = 0; i < 3; i++) {
        await page.click('button');
    }
    // Another heading, and the component's state stays: it was replaced, not loaded anew.
    edit(project, 'src/App.jsx', 'first words', 'other words');
    await page.waitForSelector('h1:text("other words")');
    said.edited = await heading(page);
    said.count = await page.textContent('button');
    edit(project, 'src/style.css', 'rgb(1, 2, 3)', 'rgb(4, 5, 6)');
    await page.waitForFunction(
        () => getComputedStyle(document.querySelector('h1')).color === 'rgb(4, 5, 6)');
    said.color = await page.evaluate(() => getComputedStyle(document.querySelector('h1')).color);
    said.loads = loads;
    await page.goto(`${base}/users/ada`);
    await page.waitForSelector('h1');
    said.deep = await heading(page);
    // What cannot be replaced makes the page load itself.
    const load = page.waitForEvent('load');
    await page.waitForFunction(() => document.querySelector('h1'));
    edit(project, 'index.html', 'React under test', 'React under weir');
    await load;
    await page.waitForFunction(() => document.title === 'React under weir');
    said.reloaded = true;
    return said;
}

async function built(page, base) {
    const said = {};
    const encodings = new Set();
    page.on('response', (answer) => {
        if (/assets\/index-.*\.js$/.test(answer.url())) {
            encodings.add(answer.headers()['content-encoding']);
            said.immutable = answer.headers()['cache-control'].includes('immutable');
        }
    });
    await page.goto(`${base}/`);
    await page.waitForSelector('h1');
    said.first = await heading(page);
    said.color = await page.evaluate(() => getComputedStyle(document.querySelector('h1')).color);
    await page.click('text=ada');
    await page.waitForSelector('h1:text("user")');
    said.clicked = await heading(page);
    await page.goBack();
    await page.waitForSelector('h1:text("first")');
    said.back = await heading(page);
    const answer = await page.goto(`${base}/users/grace`);
    said.status = answer.status();
    await page.waitForSelector('h1');
    said.deep = await heading(page);
    await page.goto(`${base}/late`);
    await page.waitForSelector('h1');
    said.late = await heading(page);
    await page.goto(`${base}/no/such/place?and=query`);
    await page.waitForSelector('h1');
    said.nowhere = await heading(page);
    said.missing = await page.evaluate(async () => (await fetch('/assets/gone-12345678.js')).status);
    said.again = await page.evaluate(async () => {
        const tag = (await fetch('/')).headers.get('etag');
        return (await fetch('/', { headers: { 'If-None-Match': tag }, cache: 'no-store' })).status;
    });
    said.encodings = [...encodings];
    return said;
}

(async () => {
    const [binary, what, base, project] = process.argv.slice(2);
    const browser = await chromium.launch({ executablePath: binary, headless: true,
        args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server'] });
    const errors = [];
    try {
        const page = await (await browser.newContext()).newPage();
        page.setDefaultTimeout(60000);
        page.on('pageerror', (error) => errors.push(String(error)));
        const said = await (what === 'develop' ? develop(page, base, project) : built(page, base));
        console.log(JSON.stringify({ ...said, errors }));
    } finally {
        await browser.close();
    }
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
