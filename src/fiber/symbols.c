/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the linker has put the head of the program and its end. */
extern const char __ehdr_start[];
extern const char _end[];

static struct {
    const ElfW(Sym) * symbols;
    size_t count;
    const char *names;
    size_t names_size;
} table;

static bool is_inside(uint64_t offset, uint64_t size, size_t file_size)
{
    return offset <= file_size && size <= file_size - offset;
}

static void read_tables(const char *file, size_t size)
{
    const ElfW(Ehdr) *head = (const void *)file;
    uint64_t sections_size = (uint64_t)head->e_shnum * sizeof(ElfW(Shdr));
    if (!is_inside(head->e_shoff, sections_size, size))
        return;
    const ElfW(Shdr) *sections = (const void *)(file + head->e_shoff);
    for (unsigned i = 0; i < head->e_shnum; i++) {
        const ElfW(Shdr) *section = &sections[i];
        if (section->sh_type != SHT_SYMTAB || section->sh_link >= head->e_shnum)
            continue;
        const ElfW(Shdr) *names = &sections[section->sh_link];
        if (!is_inside(section->sh_offset, section->sh_size, size) ||
            !is_inside(names->sh_offset, names->sh_size, size))
            return;
        table.symbols = (const void *)(file + section->sh_offset);
        table.count = section->sh_size / sizeof(ElfW(Sym));
        table.names = file + names->sh_offset;
        table.names_size = names->sh_size;
        return;
    }
}

void symbols_open(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat file;
    if (fd < 0)
        return;
    if (fstat(fd, &file) == 0 && (size_t)file.st_size > sizeof(ElfW(Ehdr))) {
        void *map = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map != MAP_FAILED)
            read_tables(map, (size_t)file.st_size);
    }
    close(fd);
}

const char *symbols_find(uintptr_t address, uintptr_t *offset, uintptr_t *in_program)
{
    uintptr_t base = (uintptr_t)__ehdr_start;
    *in_program = 0;
    if (address < base || address >= (uintptr_t)_end)
        return NULL;
    uintptr_t at = address - base;
    *in_program = at;
    for (size_t i = 0; i < table.count; i++) {
        const ElfW(Sym) *symbol = &table.symbols[i];
        if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || at < symbol->st_value ||
            at - symbol->st_value >= symbol->st_size || symbol->st_name >= table.names_size)
            continue;
        *offset = at - symbol->st_value;
        return table.names + symbol->st_name;
    }
    return NULL;
}
