"""What a job means: the walk that its steps describe."""

__all__ = ["walk"]


def walk(job, weight_words: int, neuron_words: int):
    """Yields (weight word of mask bit 0, neuron word, whether it is the last group) in the job's order.

    ``job``: anything with the fields of :func:`hdl.core.address.Job`; depths are powers of two.
    """
    block, neuron = job.block, job.neuron
    for _row in range(job.rows + 1):
        for column in range(job.columns + 1):
            for group in range(job.groups + 1):
                yield (job.base + (block << job.row_shift)) % weight_words, neuron % neuron_words, group == job.groups
                if group < job.groups:
                    step = (1, 1)
                elif column < job.columns:
                    step = (job.block_column, job.neuron_column)
                else:
                    step = (job.block_row, job.neuron_row)
                block, neuron = (block + step[0]) % weight_words, neuron + step[1]
