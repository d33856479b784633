# Completion of hf and huggingface-cli in PowerShell.
Register-ArgumentCompleter -Native -CommandName hf, huggingface-cli -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $typed = $commandAst.Extent.Text
    $length = $cursorPosition - $commandAst.Extent.StartOffset
    # Blanks after the last word are not part of the command, but tell that a new word begins.
    $line = $typed.PadRight($length).Substring(0, $length)
    $before = $env:_HF_COMPLETE
    try {
        $env:_HF_COMPLETE = 'powershell'
        $found = @(& PROGRAM -- $line 2>$null)
    } finally {
        $env:_HF_COMPLETE = $before
    }
    foreach ($one in $found) {
        $value, $help = $one -split "`t", 2
        if (-not $help) { $help = $value }
        $quoted = if ($value -match '^[\w./:=@+-]+$') { $value } else { "'" + $value.Replace("'", "''") + "'" }
        [System.Management.Automation.CompletionResult]::new($quoted, $value, 'ParameterValue', $help)
    }
}
