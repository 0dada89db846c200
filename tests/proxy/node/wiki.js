// SPDX-License-Identifier: Apache-2.0
// node wiki.js CHROMIUM URL FILE: logs into a DokuWiki, writes a page, and uploads a file. Says what
// came of it as JSON.
'use strict';
const { chromium } = require('playwright-core');

(async () => {
    const [binary, base, file] = process.argv.slice(2);
    const browser = await chromium.launch({ executablePath: binary, headless: true,
        args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server'] });
    const said = { login: false, page: false, style: false, upload: false };
    try {
        const page = await (await browser.newContext()).newPage();
        page.setDefaultTimeout(30000);
        await page.goto(`${base}/start?do=login`);
        await page.fill('input[name=u]', 'ada');
        await page.fill('input[name=p]', 'opensesame');
        await page.click('#dw__login button[type=submit]');
        await page.waitForSelector('.action.logout');
        said.login = true;

        await page.goto(`${base}/browser/page?do=edit`);
        await page.fill('#wiki__text', '====== Seen ======\n\nwritten in a browser\n');
        await page.click('#edbtn__save');
        await page.waitForSelector('text=written in a browser');
        said.page = page.url().startsWith(`${base}/browser/page`);
        await page.goto(`${base}/browser/page`, { waitUntil: 'load' });
        said.style = await page.evaluate(() => [...document.styleSheets].reduce(
            (sum, sheet) => sum + sheet.cssRules.length, 0) > 10);

        await page.goto(`${base}/lib/exe/mediamanager.php?ns=`);
        await page.waitForSelector('input[type=file]', { state: 'attached' });
        await page.setInputFiles('input[type=file]', file);
        await page.click('#mediamanager__upload_button');
        await page.waitForSelector('.qq-upload-success', { timeout: 60000 });
        said.upload = true;
    } finally {
        console.log(JSON.stringify(said));
        await browser.close();
    }
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
