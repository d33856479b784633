# Completion of hf and huggingface-cli in Elvish.
for name [hf huggingface-cli] {
    set edit:completion:arg-completer[$name] = {|@words|
        env _HF_COMPLETE=elvish PROGRAM -- $@words 2>/dev/null
    }
}
