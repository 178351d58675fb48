# bash completion for volcryptctl(1). Words come from the tree of verbs; names of volumes come from the agent, if it answers.

_volcryptctl_names() {
    timeout 2 volcryptctl get volumes -o names 2>/dev/null
}

_volcryptctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local words=() word skip=
    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [ -n "$skip" ]; then skip=; continue; fi
        case $word in
            -o|--format|--socket|--passphrase-fd|--device|--output|--input|--bundle|--name|--pcrs|--timeout|--protection|\
            --authority-file|--recovery-file|--token-file|--hours|--pcr-digest|--store|--store-authority|--store-certificate|--store-key|--store-prefix) skip=1 ;;
            -*) ;;
            *) words+=("$word") ;;
        esac
    done

    case $previous in
        -o|--format) COMPREPLY=($(compgen -W "table json yaml" -- "$current")); return ;;
        --protection) COMPREPLY=($(compgen -W "tpm software" -- "$current")); return ;;
        --device|--output|--input|--bundle|--authority-file|--recovery-file|--token-file|--socket|--store-authority|--store-certificate|--store-key)
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "$current")); return ;;
        --passphrase-fd|--name|--pcrs|--timeout|--hours|--pcr-digest|--store|--store-prefix) return ;;
    esac

    local options="--help --format --socket" next=
    case "${words[*]}" in
        "") next="cluster enable rotate store get create delete forget attach detach header settle node recovery completion"
            options="--help --version --format --socket" ;;
        "cluster") next="init token join" ;;
        "cluster token") options="--output --hours $options" ;;
        "cluster join"*) options="--token-file --name --without-tpm --wait --store --store-authority --store-certificate --store-key --store-prefix $options" ;;
        "cluster init") options="--name --authority-file --recovery-file --pcrs --without-tpm --reuse-keys --store --store-authority --store-certificate --store-key --store-prefix --passphrase-fd $options" ;;
        "enable") next="feature-flag cluster-encryption" ;;
        "enable feature-flag") next="cluster-encryption" ;;
        "enable cluster-encryption") options="--protection --check $options" ;;
        "rotate") next="cluster-root-key" ;;
        "rotate cluster-root-key") options="--wait --timeout --abort $options" ;;
        "store") next="migrate" ;;
        "store migrate"*) options="--store-authority --store-certificate --store-key --store-prefix $options" ;;
        "get") next="clusterinfo nodes store volumes volume" ;;
        "get volume") next=$(_volcryptctl_names) ;;
        "create") next="volume" ;;
        "create volume"*) options="--device --erase-existing-data --allow-discards $options" ;;
        "delete") next="volume" ;;
        "delete volume") next=$(_volcryptctl_names); options="--yes $options" ;;
        "delete volume "*) options="--yes $options" ;;
        "forget") next="volume" ;;
        "forget volume") next=$(_volcryptctl_names); options="--yes $options" ;;
        "forget volume "*) options="--yes $options" ;;
        "attach") next=$(_volcryptctl_names); options="--device --take-over $options" ;;
        "attach "*) options="--device --take-over $options" ;;
        "detach") next=$(_volcryptctl_names) ;;
        "header") next="backup restore" ;;
        "header backup") next=$(_volcryptctl_names) ;;
        "header restore") next=$(_volcryptctl_names) ;;
        "header backup "*) options="--output $options" ;;
        "header restore "*) options="--device --input $options" ;;
        "settle") options="--timeout $options" ;;
        "node") next="admit reject remove boot-state approve-boot-state" ;;
        "node admit"*) options="--authority-file --pcrs --passphrase-fd $options" ;;
        "node remove"*) options="--authority-file --leave-volumes --passphrase-fd $options" ;;
        "node approve-boot-state") options="--authority-file --pcr-digest --passphrase-fd $options" ;;
        "recovery") next="verify export open" ;;
        "recovery verify") options="--recovery-file --passphrase-fd $options" ;;
        "recovery export") options="--output $options" ;;
        "recovery open") options="--device --bundle --recovery-file --name --passphrase-fd $options" ;;
        "completion") next="bash" ;;
    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
    else
        COMPREPLY=($(compgen -W "$next" -- "$current"))
    fi
}

complete -F _volcryptctl volcryptctl
