#compdef hf huggingface-cli
# Completion of hf and huggingface-cli in zsh: evaluate this after compinit, or save it as _hf in $fpath.
_hf_complete() {
    local line value tab=$'\t'
    local -a lines others folders
    lines=("${(@f)$(_HF_COMPLETE=zsh PROGRAM -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    for line in $lines; do
        value=${${line%%$tab*}//:/\\:}
        if [[ $line == *$tab* ]]; then
            others+=("$value:${line#*$tab}")
        elif [[ $value == */ ]]; then
            folders+=("$value")
        else
            others+=("$value")
        fi
    done
    (( $#folders )) && _describe -V folder folders -S ''
    (( $#others )) && _describe -V hf others
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _hf_complete "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }
    compdef _hf_complete hf huggingface-cli
fi
