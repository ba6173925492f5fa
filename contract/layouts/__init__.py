"""The layouts that datasets come in, read by one reader: for the command line, for imports and for training.

JSON Lines            *.jsonl: {"image": "1.jpg", "captions": ["a red circle", "round"]}. Hugging Face's `file_name` and
                      `text` (metadata.jsonl), `s3_key` and `sentences`, and SageMaker's `source-ref` are the same to it
table                 *.csv or *.tsv with a header: `file_name,text` (Hugging Face's metadata.csv), `image,label`, or
                      `filepath`, `title` (open_clip), with commas, semicolons or tabs between the cells
tar shards            *.tar (webdataset): 1.jpg beside 1.txt, 1.json or 1.cls; training alone reads these
a folder per class    one folder of images per class
a text per image      1.jpg beside 1.txt or beside 1.json with a caption, also in a folder per class

The first of these that is found is the layout. All may also lie in folders named after splits, such as train/ and val/.
A manifest counts as one if it names images and says something of them. A row may have a `label` (and its `task`), or
`labels` by task, such as {"animal": "owl"}, and `split`, `held_out`, `weight` and `id`. Paths are relative to the file
that names them. Hidden files, and what systems put beside files, are passed over.
"""
