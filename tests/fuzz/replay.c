/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds a fuzz target the files that are named, each once: the corpus without a fuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }
        /* Exactly as large as the input, so that a read beyond its end is seen. */
        uint8_t *all = malloc(INPUT_MAX);
        size_t size = fread(all, 1, INPUT_MAX, file);
        fclose(file);
        uint8_t *input = malloc(size + 1);
        for (size_t at = 0; at < size; at++)
            input[at] = all[at];
        input = realloc(input, size > 0 ? size : 1);
        free(all);
        printf("%s\n", argv[i]);
        fflush(stdout);
        LLVMFuzzerTestOneInput(input, size);
        free(input);
    }
    return 0;
}
