/* SPDX-License-Identifier: Apache-2.0 */
#include "control/privileges.h"

#include "base/log.h"
#include "fiber/process.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

enum {
    NAME_MAX_BYTES = 64,
};

static bool copy_name(struct slice name, char *into)
{
    if (name.size >= NAME_MAX_BYTES)
        return false;
    memcpy(into, name.data, name.size);
    into[name.size] = '\0';
    return true;
}

static enum status refuse(const char *what, struct slice name)
{
    log_write(LOG_ERROR, "user_failed", "%s \"%.*s\": no such name, or it cannot be taken on", what,
              SLICE_ARG(name));
    return ERR_DENIED;
}

enum status privileges_find(struct slice user, struct slice group, struct privileges *found)
{
    bool is_written = user.size > 0;
    *found = (struct privileges){geteuid(), getegid(), false};
    if (geteuid() != 0)
        return OK;
    if (!is_written)
        user = SLICE("weir");
    char name[NAME_MAX_BYTES];
    const struct passwd *entry = copy_name(user, name) ? getpwnam(name) : NULL;
    if (entry == NULL && !is_written)
        return OK;
    if (entry == NULL)
        return refuse("user", user);
    *found = (struct privileges){entry->pw_uid, entry->pw_gid, true};
    if (group.size > 0) {
        const struct group *other = copy_name(group, name) ? getgrnam(name) : NULL;
        if (other == NULL)
            return refuse("group", group);
        found->group = other->gr_gid;
    }
    return OK;
}

static enum status change(struct slice user, struct slice group)
{
    struct privileges wanted;
    TRY(privileges_find(user, group, &wanted));
    if (geteuid() == 0 && !wanted.is_other)
        log_write(LOG_WARN, "user_root",
                  "running as root with all its rights: there is no user \"weir\"");
    if (wanted.is_other && !process_become(wanted.user, wanted.group))
        return refuse("user", user);
    return OK;
}

enum status privileges_drop(struct slice user, struct slice group, bool may_dump)
{
    TRY(change(user, group));
    if (process_harden(may_dump))
        return OK;
    log_write(LOG_ERROR, "harden_failed", "the kernel does not let weir give up rights");
    return ERR_DENIED;
}
