// SPDX-License-Identifier: Apache-2.0
// As `npm create vite` writes it: nothing in here knows of a proxy.
import { defineConfig } from 'vite';
import react from '@vitejs/plugin-react';

export default defineConfig({ plugins: [react()], cacheDir: '.vite' });
