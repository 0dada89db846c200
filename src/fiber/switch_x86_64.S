/* SPDX-License-Identifier: Apache-2.0 */
/* void fiber_switch(void **save_sp, void *to_sp): leaves one stack and goes on with another.
 * Saves what the System V ABI lets a callee keep; the control words of the FPU are never changed.
 * Shadow stacks (CET) are not supported: the program is built with -fcf-protection=branch. */
    .text
    .globl fiber_switch
    .type fiber_switch, @function
    .p2align 4
fiber_switch:
    .cfi_startproc
    endbr64
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
    .size fiber_switch, .-fiber_switch

/* void fiber_call(void *sp, void (*fn)(void *), void *argument): a call on another stack. Calls and
 * returns stay in pairs, as the processor expects them. */
    .globl fiber_call
    .type fiber_call, @function
    .p2align 4
fiber_call:
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register rbp
    movq %rdi, %rsp
    movq %rdx, %rdi
    call *%rsi
    movq %rbp, %rsp
    popq %rbp
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size fiber_call, .-fiber_call

/* The first frame of every fiber: r12 is the argument, r13 the function, which never returns.
 * An undefined rip lets debuggers end the backtrace here. */
    .globl fiber_begin
    .type fiber_begin, @function
    .p2align 4
fiber_begin:
    .cfi_startproc
    .cfi_undefined rip
    endbr64
    movq %r12, %rdi
    call *%r13
    ud2
    .cfi_endproc
    .size fiber_begin, .-fiber_begin

    .section .note.GNU-stack, "", @progbits
